"""An evaluation: a model's figures on labelled images, and what is fitted on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from visionkit.errors import UsageError
from visionkit.evaluation.answering import answers, pixels_of
from visionkit.evaluation.calibration import at_temperature
from visionkit.evaluation.fitting import Calibration, Thresholds, Tuning, calibrate, moved, tune
from visionkit.evaluation.label_figures import label_scores
from visionkit.evaluation.mask_figures import MaskCounts
from visionkit.evaluation.point_figures import WITHIN, point_scores
from visionkit.evaluation.scores import Scores
from visionkit.evaluation.tag_figures import tag_scores
from visionkit.evaluation.truth import label_truth, mask_truth, point_truth, tag_truth
from visionkit.evaluation.views import Views, ViewsName, suitable_views
from visionkit.progress import Progress, Silence

if TYPE_CHECKING:
    from visionkit.evaluation.parts import Part
    from visionkit.inference.description import Description
    from visionkit.inference.predictor import Predictor

Decision = Literal["threshold", "expected-f2"]


@dataclass(frozen=True)
class Request:
    """What is asked of an evaluation.

    Args:
        tta: views of each image; `auto` takes those that the recipe's augmentation calls for.
        tune_thresholds: fit thresholds; of tags.
        decision: how tags are to be chosen from now on; None leaves it.
        calibrate: fit a temperature; of labels and tags.
        within: distances in pixels; of points.
        bs: images in a batch.
        threads: that read images.
    """

    tta: ViewsName | Literal["auto"] | None = None
    tune_thresholds: bool = False
    decision: Decision | None = None
    calibrate: bool = False
    within: tuple[float, ...] = WITHIN
    bs: int = 32
    threads: int = 1

    @property
    def fits(self) -> bool:
        """Whether something is fitted on the images."""
        return self.tune_thresholds or self.calibrate


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Args:
        part: the labelled images.
        description: of the model as it was.
        scores: with each image as it is.
        tta: the kind of views; None without.
        tta_scores: with the mean over views.
        probabilities: of labels and tags, shape (images, classes); None for other tasks.
        targets: class indices, or 0/1 tags; None for other tasks.
        chosen: the tags that are predicted; None for other tasks.
        confusion: images or pixels as truth x prediction; None for tags and points.
        errors: of points, in pixels; None for other tasks.
        calibration: where a temperature was fitted.
        tuning: where thresholds were.
        changes: what the bundle gets, if it is written.
    """

    part: Part
    description: Description
    scores: Scores
    tta: ViewsName | None = None
    tta_scores: Scores | None = None
    probabilities: np.ndarray | None = None
    targets: np.ndarray | None = None
    chosen: np.ndarray | None = None
    confusion: np.ndarray | None = None
    errors: np.ndarray | None = None
    calibration: Calibration | None = None
    tuning: Tuning | None = None
    changes: dict[str, Any] = field(default_factory=dict)


def evaluate(
    predictor: Predictor, part: Part, request: Request, progress: Progress | None = None
) -> Evaluation:
    """Evaluate `predictor` on the images of `part`; nothing is written.

    Raises:
        UsageError: something is asked that does not go with the task.
        DataError: labels that the model does not know.
    """
    check_request(predictor.task, part.name if part.own else None, request)
    views = None
    if request.tta is not None:
        views = Views(suitable_views(part.dataset) if request.tta == "auto" else request.tta, predictor)
    asked = _Asked(predictor, part, request, views, progress or Silence())
    if predictor.task == "segmentation":
        return _evaluate_masks(asked)
    if predictor.task == "keypoints":
        return _evaluate_points(asked)
    return _evaluate_classes(asked)


def check_request(task: str, own_part: str | None, request: Request) -> None:
    """Raise `UsageError` for what does not go with the task, or with a part of the run's own data."""
    asked = [
        (request.tune_thresholds, "--tune-thresholds", ("multi-label",)),
        (request.decision is not None, "--decision", ("multi-label",)),
        (request.calibrate, "--calibrate", ("single-label", "multi-label")),
        (request.within != WITHIN, "--within", ("keypoints",)),
    ]
    for wanted, option, tasks in asked:
        if wanted and task not in tasks:
            raise UsageError(f"{option}: the run is of {task}; it is for {' and '.join(tasks)} only.")
    if request.fits and own_part == "train":
        option = "--tune-thresholds" if request.tune_thresholds else "--calibrate"
        raise UsageError(
            f"{option} --on train: the network knows these images, and is surer of them than of others. "
            "Fit on valid, or on another folder with --data."
        )


@dataclass(frozen=True)
class _Asked:
    predictor: Predictor
    part: Part
    request: Request
    views: Views | None
    progress: Progress

    @property
    def tta(self) -> ViewsName | None:
        return None if self.views is None else self.views.name

    def answers(self) -> Any:
        return answers(
            self.predictor,
            self.part.images,
            bs=self.request.bs,
            threads=self.request.threads,
            progress=self.progress,
            views=self.views,
        )


def _evaluate_classes(asked: _Asked) -> Evaluation:
    predictor, part, request = asked.predictor, asked.part, asked.request
    tags = predictor.task == "multi-label"
    targets = (tag_truth if tags else label_truth)(part, predictor.vocab)
    if request.fits and len(targets) < 4:
        raise UsageError(f"{len(targets)} images are too few to fit anything on.")
    outputs, means = [], []
    for each in asked.answers():
        outputs.append(each.outputs.cpu())
        means += [] if each.mean is None else [each.mean.cpu()]
    logits = torch.cat(outputs)
    probabilities = predictor.activations(logits).numpy()
    scores, chosen = _class_scores(predictor, probabilities, targets)
    tta_scores = _class_scores(predictor, torch.cat(means).numpy(), targets)[0] if means else None
    confusion = None
    if not tags:
        confusion = np.zeros((len(predictor.vocab), len(predictor.vocab)), dtype=np.int64)
        np.add.at(confusion, (targets, probabilities.argmax(axis=1)), 1)
    calibration, tuning, changes = _fit(predictor, request, logits.numpy(), targets)
    return Evaluation(
        part,
        predictor.description,
        scores,
        asked.tta,
        tta_scores,
        probabilities,
        targets,
        chosen,
        confusion,
        calibration=calibration,
        tuning=tuning,
        changes=changes,
    )


def _class_scores(
    predictor: Predictor, probabilities: np.ndarray, targets: np.ndarray
) -> tuple[Scores, np.ndarray | None]:
    if targets.ndim == 1:
        return label_scores(probabilities, targets, predictor.vocab), None
    chosen = predictor.decide(probabilities)
    return tag_scores(probabilities, targets, chosen, predictor.vocab), chosen


def _fit(
    predictor: Predictor, request: Request, logits: np.ndarray, targets: np.ndarray
) -> tuple[Calibration | None, Tuning | None, dict[str, Any]]:
    """What is fitted on all images, and how it does on a half that it was not fitted on."""
    present = predictor.description.temperature or 1.0
    thresholds: Thresholds | None = predictor.description.thresholds
    changes: dict[str, Any] = {}
    calibration, tuning = None, None
    if request.calibrate:
        calibration = calibrate(logits, targets, present)
        changes["temperature"] = calibration.temperature
        if thresholds is not None:
            thresholds = moved(thresholds, present, calibration.temperature)
            changes["thresholds"] = thresholds
    if request.tune_thresholds:
        temperature = changes.get("temperature", present)
        probabilities = at_temperature(logits, temperature, tags=True).astype(np.float32)
        tuning = tune(probabilities, targets, 0.5 if thresholds is None else thresholds)
        changes["thresholds"] = tuning.thresholds
    if request.decision is not None:
        changes["decision"] = request.decision
    return calibration, tuning, changes


def _evaluate_masks(asked: _Asked) -> Evaluation:
    predictor, part = asked.predictor, asked.part
    said = predictor.description
    mask_of = mask_truth(part, predictor.vocab, said.preprocessing, said.input_size)
    targets = [Path(target) for target in part.targets]
    counts, tta_counts = MaskCounts(predictor.vocab), MaskCounts(predictor.vocab)
    for each in asked.answers():
        predicted = each.outputs.argmax(dim=1).cpu().numpy()
        mean = None if each.mean is None else each.mean.argmax(dim=1).cpu().numpy()
        for row, place in enumerate(each.places):
            target = mask_of(targets[place])
            counts.add(predicted[row], target)
            if mean is not None:
                tta_counts.add(mean[row], target)
    tta_scores = tta_counts.scores() if asked.views is not None else None
    return Evaluation(part, said, counts.scores(), asked.tta, tta_scores, confusion=counts.confusion)


def _evaluate_points(asked: _Asked) -> Evaluation:
    predictor, part = asked.predictor, asked.part
    truth = point_truth(part, predictor.vocab)
    errors = np.zeros((2, *truth.shape[:2]))
    for each in asked.answers():
        found = [predictor.activations(each.outputs), *([] if each.mean is None else [each.mean])]
        for row, points in zip(errors, found):
            there = pixels_of(points.cpu().numpy(), predictor, each.sizes)
            row[each.places] = np.linalg.norm(there - truth[each.places], axis=-1)
    scores, tta_scores = (point_scores(each, predictor.vocab, asked.request.within) for each in errors)
    return Evaluation(
        part,
        predictor.description,
        scores,
        asked.tta,
        tta_scores if asked.views is not None else None,
        errors=errors[0],
    )
