"""Plots of predicted masks."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from visionkit.data.masks import void_index
from visionkit.evaluation.masks import MaskExample, MaskPredictions
from visionkit.reporting.bars import grouped_bars
from visionkit.reporting.palette import class_colors
from visionkit.reporting.sheets import Tile, code_legend, overlay, sheet
from visionkit.reporting.text import shown_name

MOST_CODES = 40
"""Of more codes only those with the most pixels are drawn."""


def per_class(predictions: MaskPredictions) -> Figure:
    """Intersection over union and accuracy (recall) of every code that occurs, with its share of the
    pixels.
    """
    counts = predictions.confusion.astype(float)
    truth, guessed, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    void = void_index(predictions.codes)
    occurs = [code for code in np.argsort(-truth, kind="stable") if truth[code] > 0 and code != void]
    shown = occurs[:MOST_CODES]
    iou = right / np.maximum(truth + guessed - right, 1)
    recall = right / np.maximum(truth, 1)
    names = [f"{shown_name(predictions.codes[code])} ({truth[code] / truth.sum():.1%})" for code in shown]
    which = (
        "each code"
        if len(shown) == len(occurs)
        else f"each of the {len(shown)} largest of {len(occurs)} codes"
    )
    title = f"{predictions.name}: how well {which} is found, validation masks (share of the pixels)"
    columns = {"intersection over union": iou[shown], "accuracy (recall)": recall[shown]}
    return grouped_bars(names, columns, title)


def mask_examples(predictions: MaskPredictions, worst: bool) -> Figure:
    """Rows of image, truth and prediction, with the share of pixels that are right (Void left out)."""
    examples = predictions.worst if worst else predictions.examples
    colors = class_colors(predictions.codes)
    tiles = [tile for example in examples for tile in _row(example, colors)]
    masks = [mask for example in examples for mask in (example.target, example.predicted)]
    title = f"{predictions.name}: validation images{' with the lowest pixel accuracy' if worst else ''}"
    title += ", truth and prediction"
    return sheet(tiles, title, columns=3, legend=code_legend(masks, predictions.codes, colors))


def _row(example: MaskExample, colors: np.ndarray) -> list[Tile]:
    return [
        Tile(example.image, shown_name(example.name)),
        Tile(overlay(example.image, example.target, colors, 0.75), "truth"),
        Tile(
            overlay(example.image, example.predicted, colors, 0.75),
            f"prediction, {example.accuracy:.1%} right",
        ),
    ]
