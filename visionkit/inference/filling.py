"""One call of `visionkit predict` that adds to a table: what is missing is predicted and written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from visionkit.inference.growing_files import CsvFile, GrowingFile, JsonLinesFile, ParquetFolder
from visionkit.inference.inputs import Input, is_relative
from visionkit.inference.own_tars import OwnTars, missing, refuse_surplus
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
        tars: tar files whose images are done as well, one after the other.

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
        tars: OwnTars | None = None,
    ) -> None:
        self.work, self.target, self.inputs, self.tars = work, target, inputs, tars or OwnTars([])
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
        todo = missing(self.inputs, left)
        self.tars.take(left)
        if self.share is not None:
            refuse_surplus(self.target.table, left)
        if not (todo or self.tars.pending) and begun:
            self.table.close()  # a table without rows has its columns, too, which a kill may have left out
            return Outcome(self.total, self.total, 0)
        usable = self.tars.pending or any(isinstance(each.image, str) for each in todo)
        predictor = self.work.predictor(progress) if usable else None
        if not begun:
            if self.target.folder is not None:
                self.target.folder.mkdir(exist_ok=True)
            self.begin()
            list(self.table.begin())
        else:
            self.begin()
        # of a share, all that have failed are tried again
        again = None if self.share is not None else (each.name for each in self.inputs)
        failed = FailedImages(self.target.failed, again)
        taken = [row[1] for row in rows if len(row) > 1]
        there = len(self.inputs) - len(todo) + self.tars.there
        try:
            # nobody knows how many images are in tar files that were not looked at
            with progress.track("predict", None if self.tars.pending else len(todo), "images") as advance:
                for some in chain([todo], self.tars.missing(self.target.table)):
                    for answer in self._written(predictor, some, taken):
                        self._add(answer, failed, progress)
                        advance(1)
        finally:
            self.table.close()
        return Outcome(self.total, there, failed.count, failed.path if failed.count else None)

    @property
    def total(self) -> int:
        """Images, as far as tar files were looked at."""
        return len(self.inputs) + self.tars.images

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


def _table(target: Target, columns: list[Column], vocab: Sequence[str], naming: int) -> GrowingFile:
    if target.ending == ".jsonl":
        return JsonLinesFile(target.table)
    if target.ending == ".parquet":
        return ParquetFolder(target.table, columns)
    # Kaggle's tables have a space between tags; a tag with a space in it needs another sign
    delimiter = "|" if any(character.isspace() for name in vocab for character in name) else " "
    return CsvFile(target.table, columns, delimiter, naming)
