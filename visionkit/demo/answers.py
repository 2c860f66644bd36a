"""What the page shows of a prediction, as plain values that Gradio's components take."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from visionkit.inference.overlay import point_overlay
from visionkit.inference.results import (
    UNSEEN,
    LabelPrediction,
    MaskPrediction,
    PointPrediction,
    TagPrediction,
)
from visionkit.reporting.palette import class_colors
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

LARGEST = 1024
"""Pixels of the longer side of an overlay."""
MOST_NAMES = 40
"""Codes in a legend, and tags in a table: those with the largest shares or probabilities."""


def shown_names(names: tuple[str, ...]) -> list[str]:
    """Names that can be shown, each of them once."""
    shown = list(map(visible, names))
    counts = Counter(shown)
    return [f"{name} [{place}]" if counts[name] > 1 else name for place, name in enumerate(shown)]


def confidences(prediction: LabelPrediction | TagPrediction) -> dict[str, float]:
    """The probability of every class or tag."""
    return dict(zip(shown_names(prediction.vocab), map(float, prediction.probabilities)))


def tag_table(
    predictor: Predictor, prediction: TagPrediction, threshold: float | None
) -> tuple[list[str], list[list[str]]]:
    """The tags that are chosen, and rows of tag, probability, threshold, and whether it is chosen.

    Args:
        predictor: whose thresholds count.
        prediction: of an image.
        threshold: for all tags, instead of the model's own.
    """
    names, probabilities = shown_names(prediction.vocab), prediction.probabilities
    if threshold is not None:
        chosen, limits = probabilities > threshold, [f"{threshold:.2f}"] * len(names)
    else:
        chosen = predictor.decide(probabilities[None])[0]
        limits = _own_thresholds(predictor)
    order = [int(place) for place in np.argsort(-probabilities, kind="stable")]
    rows = [
        [names[place], f"{probabilities[place]:.1%}", limits[place], "yes" if chosen[place] else ""]
        for place in order
    ]
    return [names[place] for place in order if chosen[place]], rows[:MOST_NAMES]


def _own_thresholds(predictor: Predictor) -> list[str]:
    if predictor.description.decision == "expected-f2":
        return ["by expected F2"] * len(predictor.vocab)
    thresholds = predictor.description.thresholds
    each = np.broadcast_to(0.5 if thresholds is None else thresholds, len(predictor.vocab))
    return [f"{float(value):.2f}" for value in each]


def mask_layers(
    picture: Image.Image, prediction: MaskPrediction
) -> tuple[Image.Image, list[tuple[np.ndarray, str]], dict[str, str]]:
    """The picture, a layer for each code with its name and share of the pixels, and their colours.

    Args:
        picture: as it was predicted on.
        prediction: codes of its size.

    Returns:
        The picture, at most 1,024 pixels a side; booleans of its size with a legend's text, the largest share
        first; text -> #rrggbb.
    """
    small = picture.convert("RGB")
    small.thumbnail((LARGEST, LARGEST))
    rows, columns = (
        (np.arange(target) * source) // target
        for target, source in zip((small.height, small.width), prediction.codes.shape)
    )
    codes = prediction.codes[np.ix_(rows, columns)]
    names, colors = shown_names(prediction.vocab), class_colors(prediction.vocab)
    order = [int(place) for place in np.argsort(-prediction.shares, kind="stable")]
    layers, palette = [], {}
    for place in [place for place in order if prediction.shares[place] > 0][:MOST_NAMES]:
        text = f"{names[place]} {prediction.shares[place]:.1%}"
        layers.append((codes == place, text))
        palette[text] = "#" + np.round(255 * colors[place]).astype(np.uint8).tobytes().hex()
    unseen = codes == UNSEEN
    if unseen.any():
        layers.append((unseen, "not looked at"))
        palette["not looked at"] = "#777777"
    return small, layers, palette


def point_picture(picture: Image.Image, prediction: PointPrediction) -> tuple[Image.Image, list[list[str]]]:
    """The picture with a ring around each point, and rows of point, x and y in pixels of the image."""
    names = shown_names(prediction.vocab)
    drawn = point_overlay(picture, prediction, class_colors(prediction.vocab))
    drawn.thumbnail((LARGEST, LARGEST))
    return drawn, [[name, f"{x:.1f}", f"{y:.1f}"] for name, (x, y) in zip(names, prediction.points)]
