"""One call of `visionkit predict` that adds to a table: what is missing is predicted and written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.errors import VisionkitError, listing
from visionkit.inference.growing_files import CsvFile, GrowingFile, JsonLinesFile, ParquetFolder
from visionkit.inference.image_sources import is_address
from visionkit.inference.inputs import Input
from visionkit.inference.predictor import Predictor
from visionkit.inference.reading import in_order
from visionkit.inference.rows import Column, json_object
from visionkit.inference.streaming import Answered, answers
from visionkit.inference.targets import FailedImages, Record, Target, work_of
from visionkit.inference.work import TOP, Work, faults
from visionkit.progress import Progress
from visionkit.visible import visible


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Args:
        total: images that were named.
        there: of them, those that the table had already.
        failed: of them, those that could not be used.
        listed: the file that says why; None where none has failed.
    """

    total: int
    there: int
    failed: int
    listed: Path | None = None

    @property
    def new(self) -> int:
        """Images that were predicted in this call."""
        return self.total - self.there - self.failed


class Filling:
    """One call that adds to a target, which no other process writes to meanwhile.

    Args:
        work: the model, and what is asked.
        target: what is added to.
        inputs: the images.
        share: of a longer list, what this is a share of, as its record says it; the target may then hold
            no other images.
        relative: whether images are named relative to the current folder; by default it is looked up.

    Raises:
        UsageError: the target was begun with another model or other options.
    """

    def __init__(
        self,
        work: Work,
        target: Target,
        inputs: Sequence[Input],
        share: dict[str, Any] | None = None,
        relative: bool | None = None,
    ) -> None:
        self.work, self.target, self.inputs = work, target, inputs
        description, options = work.description, work.options
        masks = description.task == "segmentation"
        self.overlay = target.folder is not None and (masks if options.overlay is None else options.overlay)
        self.files = target.folder is not None and (masks or self.overlay)
        named = [Column("mask" if masks else "overlay", "text")] if self.files else []
        columns = [Column("image", "text"), *named, *work.form.columns]
        self.table = _table(target, columns, description.vocab, naming=1 + len(named))
        asked: dict[str, Any] = {"form": target.ending, "columns": [column.name for column in columns]}
        asked |= {"top": options.top or TOP} if description.task == "single-label" else {}
        asked |= {"overlay": self.overlay} if self.files else {}
        asked |= {"precision": work.precision} if work.precision != "fp32" else {}
        asked |= share or {}
        self.share = share
        if relative is None:
            relative = any(map(is_relative, inputs))
        self.record = Record(target, work_of(description, **asked), relative)

    def run(self, progress: Progress) -> Outcome:
        """Predict what is missing.

        Raises:
            VisionkitError: the target is damaged, or the model cannot compute.
        """
        begun = os.path.lexists(self.target.table)
        rows = [tuple(row) for row in self.table.begin()] if begun else []
        left = Counter(row[0] for row in rows)
        todo = []
        for each in self.inputs:
            if left[each.name] > 0:
                left[each.name] -= 1
            else:
                todo.append(each)
        if self.share is not None and (surplus := [name for name, count in left.items() if count > 0]):
            raise VisionkitError(
                f"{self.target.table}: has rows of images that are not in its share of the list, or not so "
                f"often: {listing(surplus)}. Delete this folder, and its images are done again."
            )
        if not todo and begun:
            return Outcome(len(self.inputs), len(self.inputs), 0)
        usable = any(isinstance(each.image, str) for each in todo)
        predictor = self.work.predictor(progress) if usable else None
        if not begun:
            if self.target.folder is not None:
                self.target.folder.mkdir(exist_ok=True)
            self.begin()
            list(self.table.begin())
        else:
            self.begin()
        failed = FailedImages(self.target.failed, (each.name for each in self.inputs))
        try:
            with progress.track("predict", len(todo), "images") as advance:
                for answer in self._written(predictor, todo, [row[1] for row in rows if len(row) > 1]):
                    self._add(answer, failed, progress)
                    advance(1)
        finally:
            self.table.close()
        there = len(self.inputs) - len(todo)
        return Outcome(len(self.inputs), there, failed.count, failed.path if failed.count else None)

    def begin(self) -> None:
        """Write down what the target is begun with, where it is not yet."""
        if self.record.changed:
            self.record.write(self.work.model)

    def _written(
        self, predictor: Predictor | None, todo: Sequence[Input], taken: Sequence[str]
    ) -> Iterator[Answered]:
        """The answers, whose files are written by threads of their own."""
        if predictor is None:
            yield from faults(todo)
            return
        found = answers(predictor, todo, self.work.options.bs, keep_files=self.overlay)
        if not self.files or self.target.folder is None:
            yield from found
            return
        from visionkit.inference.image_files import ImageFiles

        files = ImageFiles(self.target.folder, predictor.vocab, taken, predictor.preprocessing)
        threads = min(os.cpu_count() or 1, 8)
        yield from in_order(files.write, files.named(found), threads, ahead=threads)

    def _add(self, answer: Answered, failed: FailedImages, progress: Progress) -> None:
        name = answer.input.name
        if answer.prediction is None:
            failed.add(name, answer.fault or "")
            progress.note(f"{visible(name)}: {visible(answer.fault or '')}")
            return
        values = [name, *([answer.file] if self.files else []), *self.work.form.values(answer.prediction)]
        self.table.add(values, json_object(self.work.form, name, answer.prediction))


def is_relative(each: Input) -> bool:
    """Whether the name of an image counts from the current folder."""
    return isinstance(each.image, str) and not is_address(each.image) and not os.path.isabs(each.image)


def _table(target: Target, columns: list[Column], vocab: Sequence[str], naming: int) -> GrowingFile:
    if target.ending == ".jsonl":
        return JsonLinesFile(target.table)
    if target.ending == ".parquet":
        return ParquetFolder(target.table, columns)
    # Kaggle's tables have a space between tags; a tag with a space in it needs another sign
    delimiter = "|" if any(character.isspace() for name in vocab for character in name) else " "
    return CsvFile(target.table, columns, delimiter, naming)
