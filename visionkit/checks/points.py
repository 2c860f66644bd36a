"""Findings about key points: those that are no numbers, too few or too many, or outside of their image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.checks.facts import ImageFacts
from visionkit.data.problems import Problem, Severity
from visionkit.data.splits import relative_name

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset


def dataset_point_problems(dataset: Dataset, images: Sequence[ImageFacts]) -> list[Problem]:
    """What is wrong with the points of a data set of key points, whose images were scanned as `images`."""
    by_path = {facts.path: facts for facts in images}
    return point_problems([by_path[image] for image in dataset.images], dataset.targets, dataset.path)


def point_problems(images: Sequence[ImageFacts], targets: Sequence[Any], root: Path) -> list[Problem]:
    """What is wrong with the points of `images`, which are `targets`: x and y in pixels, image by image.

    A point outside of its image is a warning: no training can reach it. All else is an error.
    """
    arrays = [_points(target) for target in targets]
    counts = Counter(len(points) for points in arrays if points is not None)
    usual = counts.most_common(1)[0][0] if counts else 0
    return [
        problem
        for facts, points in zip(images, arrays)
        for problem in _faults(facts, points, usual, relative_name(facts.path, root))
    ]


def _points(target: Any) -> np.ndarray | None:
    """The points as an array (points, 2); None where they are none."""
    try:
        points = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return points if points.ndim == 2 and points.shape[0] and points.shape[1] == 2 else None


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) < 1e9 else f"{value:g}"


def _faults(facts: ImageFacts, points: np.ndarray | None, usual: int, name: str) -> Iterator[Problem]:
    def problem(kind: str, text: str) -> Problem:
        severity: Severity = "warning" if kind == "point outside" else "error"
        return Problem(kind, severity, f"{name}: {text}", (facts.path,))

    if points is None:
        yield problem("bad points", "its points are no list of x and y. Correct them, or leave it out.")
    elif not np.isfinite(points).all():
        text = "a point has no place (x or y is no finite number). Correct it, or leave the image out."
        yield problem("bad points", text)
    elif len(points) != usual:
        text = f"it has {len(points)} points and most images have {usual}; all need the same ones."
        yield problem("number of points", text)
    elif facts.fault is None:
        for x, y in points[((points < 0) | (points > (facts.width, facts.height))).any(axis=1)]:
            text = (
                f"the point at {_short(x)}, {_short(y)} is outside of the image, which is {facts.width}x"
                f"{facts.height} pixels; no training can reach it. Correct it, or leave the image out."
            )
            yield problem("point outside", text)
