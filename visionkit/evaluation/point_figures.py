"""How far off predicted points are, in pixels of the images as stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from visionkit.evaluation.bootstrap import figures_of
from visionkit.evaluation.scores import ClassTable, Scores

WITHIN = (5.0, 10.0, 20.0)


def point_scores(errors: np.ndarray, names: Sequence[str], within: Sequence[float] = WITHIN) -> Scores:
    """Mean and median distance, and the share of points that are at most so far off.

    Args:
        errors: distances in pixels, shape (images, points).
        names: of the points.
        within: distances in pixels.
    """
    images, points = errors.shape
    order = [np.argsort(errors[:, point], kind="stable") for point in range(points)]
    flat = np.argsort(errors.ravel(), kind="stable")

    def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        count = weights.sum(axis=1)
        repeated = (np.repeat(part, points, axis=1) for part in np.array_split(weights, points))
        medians = [weighted_medians(errors.ravel(), part, flat) for part in repeated]
        found = {
            "pixel_error": weights @ errors.mean(axis=1) / count,
            "median_pixel_error": np.concatenate(medians),
        }
        for distance in within:
            found[f"within_{distance:g}_px"] = weights @ (errors <= distance).mean(axis=1) / count
        found["mean_error"] = weights @ errors / count[:, None]
        of_points = [weighted_medians(errors[:, point], weights, order[point]) for point in range(points)]
        return {**found, "median_error": np.stack(of_points, axis=1)}

    figures = figures_of(statistics, images)
    columns = {name: figures.pop(name) for name in ("mean_error", "median_error")}
    return Scores(figures, ClassTable("point", list(names), columns, {"images": np.full(points, images)}))


def weighted_medians(values: np.ndarray, weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The median of `values`, each as often as the row of `weights` says: shape (draws,)."""
    ranked, reached = values[order], weights[:, order].cumsum(axis=1)
    total = reached[:, -1]
    middles = [ranked[(reached > rank[:, None]).argmax(axis=1)] for rank in ((total - 1) // 2, total // 2)]
    return np.asarray((middles[0] + middles[1]) / 2)
