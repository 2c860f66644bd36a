"""`visionkit predict`: a model's answers about many images, in a file that grows and can be gone on with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from visionkit.devices import resolve_device
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.bundle_files import read_description
from visionkit.inference.description import Description
from visionkit.inference.growing_files import (
    CsvFile,
    GrowingFile,
    JsonLinesFile,
    ParquetFolder,
)
from visionkit.inference.image_sources import Unusable, is_address
from visionkit.inference.inputs import Input
from visionkit.inference.predictor import Predictor, load
from visionkit.inference.prepared import Precision, precision_on
from visionkit.inference.quick_start import without_compiler
from visionkit.inference.reading import in_order
from visionkit.inference.rows import Column, Form, form_of, json_object
from visionkit.inference.streaming import Answered, answers
from visionkit.inference.targets import (
    FailedImages,
    Record,
    Target,
    alone,
    target_of,
    work_of,
)
from visionkit.progress import Progress, Silence
from visionkit.visible import visible

TOP = 5


@dataclass(frozen=True)
class Options:
    """What is asked of a prediction.

    Args:
        top: classes for each image; None is `TOP`. For one label an image only.
        probabilities: give those of all classes or tags, too.
        overlay: write pictures with the answer over the image; None does it for masks. For folders only.
        decision: how tags are chosen; None as the model says.
        threshold: the probability above which any tag counts; None as the model says.
        bs: images computed at once.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".
        precision: as in `visionkit.load`.
    """

    top: int | None = None
    probabilities: bool = False
    overlay: bool | None = None
    decision: Literal["threshold", "expected-f2"] | None = None
    threshold: float | None = None
    bs: int = 32
    device: str = "auto"
    precision: Precision = "fp32"


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


class Work:
    """A model, and what is asked of it; the weights are loaded when they are first needed.

    Args:
        model: the folder of a bundle, or an exported `.onnx` file.
        options: what is asked.

    Raises:
        UsageError: the options are not for this model's task.
        VisionkitError: there is no model.
    """

    def __init__(self, model: Path, options: Options) -> None:
        self.model, self.options = model, options
        self.description = _described(_description(model), options)
        self.form: Form = form_of(self.description, options.top or TOP, options.probabilities)
        own = model.suffix == ".onnx" or options.precision == "fp32"  # what the file or the weights are in
        self.precision = "fp32" if own else precision_on(options.precision, resolve_device(options.device))

    def predictor(self, progress: Progress) -> Predictor:
        """The model with its weights; says which it is."""
        with without_compiler():
            predictor = load(self.model, self.options.device, self.options.precision)
        predictor.description = self.description
        said = self.description
        progress.note(
            f"model      {self.model}: {said.task}, {said.network.arch}, {len(said.vocab):,} "
            f"name{'' if len(said.vocab) == 1 else 's'}, on {predictor.device}"
            f"{'' if predictor.precision == 'fp32' else f' in {predictor.precision}'}"
        )
        if not said.exact:
            progress.note(f"           predictions may differ from the training's: {said.caveat}")
        return predictor

    def answers(self, inputs: Sequence[Input], progress: Progress | None = None) -> Iterator[Answered]:
        """The answers about the images, while they are computed."""
        progress = progress or Silence()
        if any(isinstance(each.image, str) for each in inputs):
            return answers(self.predictor(progress), inputs, self.options.bs)
        return _faults(inputs)  # nothing has to be loaded to say so


def predict_to(work: Work, inputs: Sequence[Input], out: Path, progress: Progress | None = None) -> Outcome:
    """Write the answers about `inputs` to `out`; images that it has already are not done again.

    Args:
        work: the model, and what is asked.
        inputs: the images; one that is there twice has two rows.
        out: a file that ends in .csv, .jsonl or .parquet; for masks and points also a folder.
        progress: hears how far it is, and of images that cannot be used.

    Raises:
        UsageError: nothing can be written to `out`, or it was begun with another model or other options.
        VisionkitError: `out` is damaged or cannot be written, or the model cannot compute.
    """
    target = target_of(out, work.description.task)
    if target.folder is not None:
        inputs = [each for each in inputs if not _inside(each, target.folder)]
    elif work.options.overlay:
        raise UsageError(f"--overlay writes pictures: give --out a folder instead of {out}.")
    with alone(target):
        try:
            return _Filling(work, target, inputs).run(progress or Silence())
        except OSError as error:
            raise cannot_write(out, error) from error


class _Filling:
    """One call that adds to a target, which no other process writes to meanwhile."""

    def __init__(self, work: Work, target: Target, inputs: Sequence[Input]) -> None:
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
        relative = any(
            isinstance(each.image, str) and not is_address(each.image) and not os.path.isabs(each.image)
            for each in inputs
        )
        self.record = Record(target, work_of(description, **asked), relative)

    def run(self, progress: Progress) -> Outcome:
        begun = os.path.lexists(self.target.table)
        rows = [tuple(row) for row in self.table.begin()] if begun else []
        left = Counter(row[0] for row in rows)
        todo = []
        for each in self.inputs:
            if left[each.name] > 0:
                left[each.name] -= 1
            else:
                todo.append(each)
        if not todo and begun:
            return Outcome(len(self.inputs), len(self.inputs), 0)
        usable = any(isinstance(each.image, str) for each in todo)
        predictor = self.work.predictor(progress) if usable else None
        if not begun:
            if self.target.folder is not None:
                self.target.folder.mkdir(exist_ok=True)
            self.record.write(self.work.model)
            list(self.table.begin())
        elif self.record.changed:
            self.record.write(self.work.model)
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

    def _written(
        self, predictor: Predictor | None, todo: Sequence[Input], taken: Sequence[str]
    ) -> Iterator[Answered]:
        """The answers, whose files are written by threads of their own."""
        if predictor is None:
            yield from _faults(todo)
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


def _description(model: Path) -> Description:
    if model.suffix != ".onnx":
        return read_description(model)
    from visionkit.inference.exporting.running import OnnxRunner

    return OnnxRunner(model).description


def _described(description: Description, options: Options) -> Description:
    """The model's description with the options that change it; refuses those of other tasks."""
    task = description.task
    for wrong, option, meant in (
        (options.top is not None and task != "single-label", "--top", "models with one label an image"),
        (
            options.probabilities and task in ("segmentation", "keypoints"),
            "--probabilities",
            "labels and tags",
        ),
        (options.overlay and task not in ("segmentation", "keypoints"), "--overlay", "masks and points"),
        (options.decision is not None and task != "multi-label", "--decision", "tags"),
        (options.threshold is not None and task != "multi-label", "--threshold", "tags"),
    ):
        if wrong:
            raise UsageError(f"{option} is for {meant}; this model's task is {task}.")
    if options.threshold is not None and options.decision == "expected-f2":
        raise UsageError("--decision expected-f2 takes no --threshold: it finds the best set of tags itself.")
    if options.threshold is not None:
        return description.replaced(thresholds=float(options.threshold), decision="threshold")
    return description if options.decision is None else description.replaced(decision=options.decision)


def _table(target: Target, columns: list[Column], vocab: Sequence[str], naming: int) -> GrowingFile:
    if target.ending == ".jsonl":
        return JsonLinesFile(target.table)
    if target.ending == ".parquet":
        return ParquetFolder(target.table, columns)
    # Kaggle's tables have a space between tags; a tag with a space in it needs another sign
    delimiter = "|" if any(character.isspace() for name in vocab for character in name) else " "
    return CsvFile(target.table, columns, delimiter, naming)


def _inside(each: Input, folder: Path) -> bool:
    """Whether an image is one of those that an earlier call wrote."""
    if isinstance(each.image, Unusable) or is_address(each.image):
        return False
    return os.path.abspath(each.image).startswith(os.path.join(os.path.abspath(folder), ""))


def _faults(inputs: Sequence[Input]) -> Iterator[Answered]:
    for each in inputs:
        if isinstance(each.image, Unusable):
            yield Answered(each, fault=each.image.reason)
