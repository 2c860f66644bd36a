"""Plots of predicted masks."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from visionkit.data.masks import void_index
from visionkit.evaluation.masks import MaskExample, MaskPredictions
from visionkit.reporting.sheets import Tile, overlay, sheet
from visionkit.reporting.style import OKABE_ITO, class_colors, new_figure, plot_style, shown_name

MOST_CODES = 60
"""Of more codes only those with the most pixels are drawn."""


def per_class(predictions: MaskPredictions) -> Figure:
    """Intersection over union and accuracy (recall) of every code that occurs, with its share of the
    pixels.
    """
    counts = predictions.confusion.astype(float)
    truth, guessed, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    void = void_index(predictions.codes)
    shown = [code for code in np.argsort(-truth) if truth[code] > 0 and code != void]
    shown = shown[:MOST_CODES]
    iou = right / np.maximum(truth + guessed - right, 1)
    recall = right / np.maximum(truth, 1)
    rows = np.arange(len(shown))
    with plot_style():
        figure = new_figure(8, 1.6 + 0.36 * len(shown))
        axes = figure.add_subplot()
        axes.barh(rows - 0.2, iou[shown], height=0.38, label="intersection over union")
        axes.barh(rows + 0.2, recall[shown], height=0.38, color=OKABE_ITO[4], label="accuracy (recall)")
        names = [f"{shown_name(predictions.codes[code])} ({truth[code] / truth.sum():.1%})" for code in shown]
        axes.set_yticks(rows, names, parse_math=False)
        axes.invert_yaxis()
        axes.set(title=f"{predictions.name}: per class, validation (share of the pixels)", xlim=(0, 1))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    return figure


def mask_examples(predictions: MaskPredictions, worst: bool) -> Figure:
    """Rows of image, truth and prediction, with the share of pixels that are right (Void left out)."""
    examples = predictions.worst if worst else predictions.examples
    colors = class_colors(predictions.codes)
    tiles = [tile for example in examples for tile in _row(example, colors)]
    used = np.unique(np.concatenate([np.union1d(example.target, example.predicted) for example in examples]))
    title = f"{predictions.name}: " + ("lowest pixel accuracy" if worst else "validation images")
    return sheet(tiles, title, columns=3, legend=[(predictions.codes[code], colors[code]) for code in used])


def _row(example: MaskExample, colors: np.ndarray) -> list[Tile]:
    return [
        Tile(example.image, shown_name(example.name)),
        Tile(overlay(example.image, example.target, colors, 0.75), "truth"),
        Tile(
            overlay(example.image, example.predicted, colors, 0.75),
            f"prediction, {example.accuracy:.1%} right",
        ),
    ]
