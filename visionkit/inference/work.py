"""A model, and what a call of `visionkit predict` asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visionkit.devices import resolve_device
from visionkit.errors import UsageError
from visionkit.inference.bundle_files import read_description
from visionkit.inference.description import Description
from visionkit.inference.image_sources import Unusable
from visionkit.inference.inputs import Input
from visionkit.inference.predictor import Predictor, load
from visionkit.inference.prepared import Precision, precision_on
from visionkit.inference.quick_start import without_compiler
from visionkit.inference.rows import Form, form_of
from visionkit.inference.streaming import Answered, answers
from visionkit.progress import Progress, Silence

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
        return faults(inputs)  # nothing has to be loaded to say so


def faults(inputs: Sequence[Input]) -> Iterator[Answered]:
    """What is wrong with each of images that cannot be used."""
    for each in inputs:
        if isinstance(each.image, Unusable):
            yield Answered(each, fault=each.image.reason)


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
