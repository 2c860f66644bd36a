"""What a predictor says of one image: a class for each task."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

UNSEEN = -1
"""Stands in a mask where the network did not see the image, since its preprocessing crops."""


@dataclass(frozen=True, eq=False)
class LabelPrediction:
    """One class.

    Args:
        label: the likeliest.
        probability: its own.
        probabilities: of all classes, in the order of `vocab`; they sum to 1.
        vocab: the names of the classes.
    """

    label: str
    probability: float
    probabilities: np.ndarray = field(repr=False)
    vocab: tuple[str, ...] = field(repr=False)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, best first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.vocab[index], float(self.probabilities[index])) for index in order]


@dataclass(frozen=True, eq=False)
class TagPrediction:
    """Any number of tags.

    Args:
        tags: those that are chosen, in the order of `vocab`.
        probabilities: of all tags, each from 0 to 1.
        vocab: the names of the tags.
    """

    tags: tuple[str, ...]
    probabilities: np.ndarray = field(repr=False)
    vocab: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """A code for every pixel.

    Args:
        codes: int16, height x width: places in `vocab`, `UNSEEN` where the network did not look.
        shares: of the seen pixels that have each code; they sum to 1.
        vocab: the names of the codes.
    """

    codes: np.ndarray = field(repr=False)
    shares: np.ndarray = field(repr=False)
    vocab: tuple[str, ...]

    def picture(self) -> Image.Image:
        """The codes as a picture in mode L, as index masks are stored; 255 where the network did not look."""
        return Image.fromarray(np.where(self.codes == UNSEEN, 255, self.codes).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class PointPrediction:
    """Where the points are.

    Args:
        points: float, shape (points, 2): x to the right and y downwards, in pixels of the image as stored.
        vocab: the names of the points.
    """

    points: np.ndarray
    vocab: tuple[str, ...]


Prediction = LabelPrediction | TagPrediction | MaskPrediction | PointPrediction
