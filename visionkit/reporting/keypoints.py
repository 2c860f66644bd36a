"""Plots of predicted points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from visionkit.data.points import image_sizes
from visionkit.reporting.sheets import Ring, Tile, sheet, thumbnail
from visionkit.reporting.style import (
    OKABE_ITO,
    RIGHT,
    WIDTH,
    WRONG,
    legend_below,
    new_figure,
    plot_style,
    set_title,
)
from visionkit.reporting.text import shown_name, text_width

if TYPE_CHECKING:
    from visionkit.evaluation.points import PointPredictions

EXAMPLES = 12
MOST_POINTS = 40
TRUTH, PREDICTION = OKABE_ITO[2], OKABE_ITO[1]


def error_histogram(predictions: PointPredictions) -> Figure:
    """How many points are how far off; of several points also the mean of each."""
    names, means = predictions.points, predictions.errors.mean(axis=0)
    title = f"{predictions.name}: errors on {len(predictions.errors):,} validation images"
    if len(names) == 1:
        return distances(predictions.errors, title)
    worst = np.argsort(-means, kind="stable")[:MOST_POINTS]
    if len(worst) < len(names):
        title += f", below the {MOST_POINTS} of {len(names):,} points with the largest"
    return distances(predictions.errors, title, [(shown_name(names[place]), means[place]) for place in worst])


def distances(errors: np.ndarray, title: str, means: Sequence[tuple[str, float]] = ()) -> Figure:
    """How many points are how far off, and below it bars for the mean errors of points with names."""
    below = (0.6 + 0.27 * len(means)) * bool(means)
    with plot_style():
        figure = new_figure(max(WIDTH, 5 + text_width(name for name, _ in means)), WIDTH * 0.58 + below)
        panels = figure.subplots(2, 1, height_ratios=[3.6, below]) if means else [figure.add_subplot()]
        panels[0].hist(errors.ravel(), bins="auto" if errors.size > 20 else 10, color=OKABE_ITO[0])
        for value, name, color, line in (
            (errors.mean(), "mean", OKABE_ITO[1], "-"),
            (np.median(errors), "median", OKABE_ITO[7], "--"),
        ):
            panels[0].axvline(
                value, color=color, linewidth=2, linestyle=line, label=f"{name} {value:.2f} pixels"
            )
        panels[0].set(
            xlabel="distance from the true point in pixels of the image",
            ylabel="number of points",
            xlim=(0, None),
        )
        panels[0].yaxis.set_major_locator(MaxNLocator(integer=True))
        if means:
            panels[1].barh(range(len(means)), [mean for _, mean in means], color=OKABE_ITO[0])
            panels[1].set_yticks(range(len(means)), [name for name, _ in means], parse_math=False)
            panels[1].set_ylim(len(means) - 0.5, -0.5)
            panels[1].set(xlabel="mean error in pixels of the image")
        set_title(figure, title)
        legend_below(figure)
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
    kind = "validation images with the largest mean errors" if worst else "validation images, mean errors"
    title = f"{predictions.name}: {kind} in pixels {median}"
    return sheet(tiles, title, legend=[("truth", TRUTH), ("prediction", PREDICTION)])


def _rings(points: np.ndarray, color: str) -> Iterator[Ring]:
    return (Ring(float(x), float(y), color) for x, y in points)
