"""What long work says while it runs: notes, and how far it is."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TextIO

from visionkit.visible import visible_lines

Unit = Literal["bytes", "files", "images"]
Advance = Callable[[int], None]
"""Tells that so many more units are done."""

SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Receives what long work says; the command line shows it as bars or lines."""

    def note(self, text: str) -> None:
        """Something worth reading: one or more lines."""

    def track(self, label: str, total: int | None, unit: Unit) -> AbstractContextManager[Advance]:
        """Work of `total` units (None where nobody knows) begins; what it yields is called as it advances."""


class Silence:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Says nothing."""

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        yield lambda count: None


class PlainProgress:
    """Plain lines on standard output, or to `stream`; work that takes long gets a line every ten seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream

    def note(self, text: str) -> None:
        stream = sys.stdout if self.stream is None else self.stream
        encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = visible_lines(text).encode(encoding, "backslashreplace").decode(encoding)
        print(shown, file=stream, flush=True)

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        done, said = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal done, said
            done += count
            now = time.monotonic()
            if now - said >= SECONDS_BETWEEN_LINES:
                said = now
                percent = f" ({100 * done // total} %)" if total else ""
                self.note(f"           {label}: {amount(done, total, unit)}{percent}")

        yield advance


def amount(done: int, total: int | None, unit: Unit) -> str:
    """How far the work is, such as "1.2 GB of 3.0 GB", "12 of 1,200 images", or "12 images"."""
    if not total:
        return quantity(done, unit)
    so_far = quantity(done, unit) if unit == "bytes" else f"{done:,}"
    return f"{so_far} of {quantity(total, unit)}"


def quantity(count: int, unit: Unit) -> str:
    """A count with its unit, such as "3.0 GB" (1 GB is 1,000,000,000 bytes) or "1 image"."""
    if unit != "bytes":
        return f"{count:,} {unit[:-1] if count == 1 else unit}"
    for power, name in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {name}"
    return f"{count} byte{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time for people: 58 s, 12 min 5 s, 3 h 20 min."""
    if not math.isfinite(seconds):
        return "not known"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
