"""How well outlines are met: the boundary F1 of masks.

A boundary pixel has a neighbour above, below, left or right with another code, and belongs to its own code.
It is met where the other mask has a boundary pixel of the same code within a tolerance, a share of the
image's diagonal (Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic
segmentation?", BMVC 2013, take 0.75 %; the DAVIS benchmark of Perazzi et al., CVPR 2016, 0.8 %). Precision is
the share of predicted boundary pixels that are met, recall that of the true ones; both are counted over all
images. Pixels at and beside Void are left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

TOLERANCE = 0.0075
ROUNDING = 1e-9
"""Pixels by which a distance may be beyond the tolerance, which is a product that is rounded."""


class BoundaryCounts(NamedTuple):
    """For each code the predicted boundary pixels and those of them that are met, then the true ones."""

    predicted: np.ndarray
    predicted_met: np.ndarray
    true: np.ndarray
    true_met: np.ndarray


def boundary_counts(
    predicted: np.ndarray,
    target: np.ndarray,
    codes: int,
    void: int | None = None,
    tolerance: float = TOLERANCE,
) -> BoundaryCounts:
    """Count boundary pixels of one image, each of shape (codes,).

    Args:
        predicted: codes, height x width.
        target: the true ones, of the same shape.
        codes: how many codes there are.
        void: the code that is left out.
        tolerance: how far off a boundary may be, as a share of the diagonal; at least one pixel.
    """
    reach = max(1.0, tolerance * math.hypot(*target.shape)) + ROUNDING
    unknown = near(target == void) if void is not None else np.zeros(target.shape, dtype=bool)
    lines = [_lines(mask.astype(np.int64), unknown) for mask in (predicted, target)]
    found = []
    for own, other in (lines, lines[::-1]):
        places = np.nonzero(own >= 0)
        met = _met(own, other, places, reach)
        of = own[places]
        found += [np.bincount(of, minlength=codes), np.bincount(of[met], minlength=codes)]
    return BoundaryCounts(*found)


def near(pixels: np.ndarray) -> np.ndarray:
    """`pixels` (boolean, height x width) and their neighbours above, below, left and right."""
    around = pixels.copy()
    around[1:] |= pixels[:-1]
    around[:-1] |= pixels[1:]
    around[:, 1:] |= pixels[:, :-1]
    around[:, :-1] |= pixels[:, 1:]
    return around


def _lines(mask: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The code of each boundary pixel; -1 elsewhere."""
    border = np.zeros(mask.shape, dtype=bool)
    down, across = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    border[1:] |= down
    border[:-1] |= down
    border[:, 1:] |= across
    border[:, :-1] |= across
    return np.where(border & ~unknown, mask, -1)


def _met(own: np.ndarray, other: np.ndarray, places: tuple[np.ndarray, ...], reach: float) -> np.ndarray:
    """Which of the pixels at `places` have one of `other` with the same code within `reach`."""
    steps = math.floor(reach)
    padded = np.pad(other, steps, constant_values=-1)
    rows, columns = places
    codes = own[places]
    met = np.zeros(len(rows), dtype=bool)
    for down in range(-steps, steps + 1):
        for across in range(-steps, steps + 1):
            if math.hypot(down, across) <= reach:
                met |= padded[rows + steps + down, columns + steps + across] == codes
    return met
