"""Plots of predicted points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from visionkit.data.points import image_sizes
from visionkit.reporting.sheets import Ring, Tile, sheet, thumbnail
from visionkit.reporting.style import OKABE_ITO, RIGHT, WRONG, new_figure, plot_style, shown_name

if TYPE_CHECKING:
    from visionkit.evaluation.points import PointPredictions

EXAMPLES = 12
TRUTH, PREDICTION = OKABE_ITO[2], OKABE_ITO[1]


def error_histogram(predictions: PointPredictions) -> Figure:
    """How many points are how far off; of several points also the mean of each."""
    errors = predictions.errors
    names = predictions.points
    several = len(names) > 1
    with plot_style():
        figure = new_figure(8, 4.5 + (0.6 + 0.3 * len(names)) * several)
        ratios = [4.5, 0.6 + 0.3 * len(names)]
        panels = figure.subplots(2, 1, height_ratios=ratios) if several else [figure.add_subplot()]
        panels[0].hist(errors.ravel(), bins="auto" if errors.size > 20 else 10)
        for value, name, color in (
            (errors.mean(), "mean", OKABE_ITO[1]),
            (np.median(errors), "median", OKABE_ITO[2]),
        ):
            panels[0].axvline(value, color=color, linewidth=2, label=f"{name} {value:.2f} px")
        panels[0].set(
            title=f"{predictions.name}: errors on {len(errors):,} validation images",
            xlabel="distance from the true point in pixels of the image",
            ylabel="points",
            xlim=(0, None),
        )
        panels[0].legend()
        if several:
            panels[1].barh(range(len(names)), errors.mean(axis=0))
            panels[1].set_yticks(range(len(names)), list(map(shown_name, names)), parse_math=False)
            panels[1].invert_yaxis()
            panels[1].set(xlabel="mean error in pixels")
    return figure


def point_examples(predictions: PointPredictions, worst: bool) -> Figure:
    """Images with the true points and the predicted ones, and the mean error of each image in pixels."""
    errors = predictions.errors.mean(axis=1)
    count = min(EXAMPLES, len(errors))
    chosen = np.argsort(-errors)[:count] if worst else np.linspace(0, len(errors) - 1, count).round()
    sizes = image_sizes(predictions.images[int(index)] for index in chosen)
    tiles = []
    for index, (width, height) in zip(map(int, chosen), sizes):
        small = thumbnail(predictions.images[index], upright=False)
        scale = np.array([small.shape[1] / width, small.shape[0] / height])
        rings = (
            *_rings(predictions.targets[index] * scale, TRUTH),
            *_rings(predictions.predicted[index] * scale, PREDICTION),
        )
        color = RIGHT if errors[index] <= np.median(errors) else WRONG
        tiles.append(Tile(small, f"{errors[index]:.1f} px", color, rings))
    median = f"(median {np.median(errors):.1f})"
    kind = "largest errors in pixels" if worst else "validation images, errors in pixels"
    title = f"{predictions.name}: {kind} {median}"
    return sheet(tiles, title, legend=[("truth", TRUTH), ("prediction", PREDICTION)])


def _rings(points: np.ndarray, color: str) -> Iterator[Ring]:
    return (Ring(float(x), float(y), color) for x, y in points)
