"""Answers as text: a table for people, JSON, or CSV."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Protocol, TextIO

from visionkit.atomic import atomic_file
from visionkit.csv_rows import csv_row
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.imagenet import Answer
from visionkit.visible import visible


class AnswerWriter(Protocol):
    """Writes answers to a stream one by one, so that there may be any number of them."""

    def add(self, answer: Answer) -> None:
        """Write one answer."""

    def close(self) -> None:
        """Write what stands behind the last."""


class TableWriter:
    """The image on a line of its own, under it a line for each class."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.begun = False

    def add(self, answer: Answer) -> None:
        lines = [] if self.begun else ["probability  class  label"]
        self.begun = True
        lines.append(visible(answer.image))
        lines += [
            f"{guess.probability:11.4f}  {guess.number:5}  {visible(guess.label)}" for guess in answer.top
        ]
        encoding = self.stream.encoding or "utf-8"
        self.stream.write(
            "".join(f"{line}\n" for line in lines).encode(encoding, "backslashreplace").decode(encoding)
        )
        self.stream.flush()

    def close(self) -> None:
        """Nothing stands behind a table."""


class JsonWriter:
    """An array with one object a line, in plain ASCII, so that every file name survives."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.begun = False

    def add(self, answer: Answer) -> None:
        self.stream.write((",\n" if self.begun else "[\n") + json.dumps(answer.as_json()))
        self.stream.flush()
        self.begun = True

    def close(self) -> None:
        self.stream.write("\n]\n" if self.begun else "[]\n")


class JsonLinesWriter:
    """One object a line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def add(self, answer: Answer) -> None:
        self.stream.write(json.dumps(answer.as_json()) + "\n")

    def close(self) -> None:
        """Nothing stands behind the last line."""


class CsvWriter:
    """One row for each class of each image."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        stream.write(csv_row(["image", "rank", "class", "label", "probability"]))

    def add(self, answer: Answer) -> None:
        for rank, guess in enumerate(answer.top, start=1):
            row = [answer.image, rank, guess.number, guess.label, f"{guess.probability:.6f}"]
            self.stream.write(csv_row(row))

    def close(self) -> None:
        """Nothing stands behind the last row."""


_WRITERS: dict[str, type[CsvWriter] | type[JsonWriter] | type[JsonLinesWriter]] = {
    ".csv": CsvWriter,
    ".json": JsonWriter,
    ".jsonl": JsonLinesWriter,
}


def check_target(file: Path) -> None:
    """Raise before the work where `answers_file` could not write to `file` after it.

    Raises:
        UsageError: its ending is none of .csv, .json and .jsonl, it is there already, or its folder is not.
    """
    if file.suffix.lower() not in _WRITERS:
        raise UsageError(f"--out {file}: name a file that ends in {', '.join(_WRITERS)}.")
    if os.path.lexists(file):
        raise UsageError(f"--out {file}: is there already. Name a new file; nothing was touched.")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"--out {file}: there is no folder {file.parent}.")


@contextmanager
def answers_file(file: Path) -> Iterator[AnswerWriter]:
    """A writer to `file` in the form that its ending says; the file appears whole, at the end, or not at all.

    Raises:
        UsageError: as `check_target`.
        VisionkitError: it cannot be written.
    """
    check_target(file)
    try:
        with atomic_file(file) as content:
            stream = TextIOWrapper(content, encoding="utf-8", errors="backslashreplace", newline="")
            yield _WRITERS[file.suffix.lower()](stream)
            stream.detach()
    except OSError as error:
        raise cannot_write(file, error) from error
