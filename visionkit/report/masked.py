"""What a segmentation model makes of the validation images: scenes with layers to lay over each other."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from visionkit.data.splits import relative_name
from visionkit.evaluation.answering import answers
from visionkit.evaluation.evaluating import Evaluation
from visionkit.evaluation.mask_figures import MaskCounts
from visionkit.evaluation.truth import mask_truth
from visionkit.inference.description import Normalise
from visionkit.report.pictures import Album, Picture
from visionkit.reporting.palette import class_colors
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.evaluation.parts import Part
    from visionkit.inference.predictor import Predictor
    from visionkit.progress import Progress

EXAMPLES = 6
"""Scenes of either kind."""
WRONG, RIGHT, NOT_COUNTED = (213, 94, 0, 255), (0, 0, 0, 0), (0, 0, 0, 110)
"""RGBA of the difference."""


@dataclass(frozen=True)
class Code:
    """A code that occurs in a scene: its name, its colour as #rrggbb, its share of truth and prediction."""

    name: str
    color: str
    true: float
    predicted: float


@dataclass(frozen=True)
class Scene:
    """An image as the network saw it, with layers of the same size."""

    name: str
    accuracy: float
    picture: Picture
    truth: Picture
    prediction: Picture
    difference: Picture
    codes: list[Code]


@dataclass(frozen=True)
class Scenes:
    """Those with the lowest pixel accuracy, and some spread evenly over the validation images."""

    worst: list[Scene]
    spread: list[Scene]

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Name and colour of every code that occurs in them, the largest shares first."""
        shares: dict[tuple[str, str], float] = {}
        for code in (code for scene in (*self.worst, *self.spread) for code in scene.codes):
            shares[code.name, code.color] = (
                shares.get((code.name, code.color), 0.0) + code.true + code.predicted
            )
        return sorted(shares, key=lambda code: -shares[code])


@dataclass(frozen=True)
class _Seen:
    file: Path
    pixels: np.ndarray
    target: np.ndarray
    predicted: np.ndarray
    accuracy: float


@dataclass(frozen=True)
class LookedAt:
    """What was found of the masks, and the scenes that are worth to be seen."""

    evaluation: Evaluation
    worst: list[_Seen]
    spread: list[_Seen]


def look_at_masks(predictor: Predictor, part: Part, *, bs: int, threads: int, progress: Progress) -> LookedAt:
    """Go through the images of `part` once: figures of all, and a few to show.

    Raises:
        DataError: an image or a mask cannot be used.
    """
    said = predictor.description
    mask_of = mask_truth(part, predictor.vocab, said.preprocessing, said.input_size)
    counts = MaskCounts(predictor.vocab)
    images, targets = part.images, [Path(target) for target in part.targets]
    kept = set(np.linspace(0, len(images) - 1, min(EXAMPLES, len(images))).round().astype(int).tolist())
    spread: list[_Seen] = []
    worst: list[tuple[float, int, _Seen]] = []
    for each in answers(predictor, images, bs=bs, threads=threads, progress=progress):
        predicted = each.outputs.argmax(dim=1).cpu().numpy()
        for row, place in enumerate(each.places):
            target = mask_of(targets[place])
            counts.add(predicted[row], target)
            counted = target != (-1 if counts.void is None else counts.void)
            accuracy = float((predicted[row] == target)[counted].mean()) if counted.any() else 1.0
            if place not in kept and len(worst) == EXAMPLES and -worst[0][0] <= accuracy:
                continue
            pixels = _seen_pixels(predictor, images[place])
            seen = _Seen(
                images[place], pixels, target.astype(np.int16), predicted[row].astype(np.int16), accuracy
            )
            if place in kept:
                spread.append(seen)
            heapq.heappush(worst, (-accuracy, place, seen))
            if len(worst) > EXAMPLES:
                heapq.heappop(worst)
    ordered = [seen for *_, seen in sorted(worst, key=lambda entry: -entry[0])]
    evaluation = Evaluation(part, said, counts.scores(), confusion=counts.confusion)
    return LookedAt(evaluation, ordered, spread)


def scenes(found: LookedAt, album: Album) -> Scenes:
    """The scenes as pictures of the page; those for which there is no room are left out."""
    made = {id(seen): _scene(found.evaluation, seen, album) for seen in (*found.worst, *found.spread)}
    worst = [scene for seen in found.worst if (scene := made[id(seen)]) is not None]
    shown = {seen.file for seen in found.worst}
    spread = [
        scene for seen in found.spread if seen.file not in shown and (scene := made[id(seen)]) is not None
    ]
    return Scenes(worst, spread)


def _scene(evaluation: Evaluation, seen: _Seen, album: Album) -> Scene | None:
    codes = list(evaluation.description.vocab)
    colors = (255 * class_colors(codes)).round().astype(np.uint8)
    palette = np.concatenate([colors, np.full((len(codes), 1), 255, np.uint8)], axis=1)
    void = next((place for place, code in enumerate(codes) if code.lower() == "void"), -1)
    difference = np.where(seen.target == void, 2, (seen.target != seen.predicted).astype(int))
    picture = album.frame(seen.pixels)
    truth, prediction = album.layer(seen.target, palette), album.layer(seen.predicted, palette)
    wrong = album.layer(difference, np.array([RIGHT, WRONG, NOT_COUNTED], dtype=np.uint8))
    if picture is None or truth is None or prediction is None or wrong is None:
        return None
    pixels = seen.target.size
    true, said = (
        np.bincount(mask.ravel(), minlength=len(codes)) / pixels for mask in (seen.target, seen.predicted)
    )
    order = [int(code) for code in np.argsort(-true, kind="stable") if true[code] or said[code]]
    listed = [
        Code(visible(codes[code]), "#" + colors[code].tobytes().hex(), float(true[code]), float(said[code]))
        for code in order
    ]
    name = visible(relative_name(seen.file, evaluation.part.dataset.path))
    return Scene(name, seen.accuracy, picture, truth, prediction, wrong, listed)


def _seen_pixels(predictor: Predictor, image: Path) -> np.ndarray:
    """What the network sees of an image: uint8, rows x columns x 3."""
    values: Tensor = predictor.preprocess(image)
    for step in reversed(predictor.preprocessing.steps.steps):
        if isinstance(step, Normalise):
            mean, std = (values.new_tensor(numbers)[:, None, None] for numbers in (step.mean, step.std))
            values = values * std + mean
    return (255 * values.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
