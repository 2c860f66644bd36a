"""Confidence intervals by the bootstrap: how a figure would vary with other images of the same kind.

Images are drawn again with replacement, as many as there are, and the figure is computed of each draw; the
interval is from the 2.5th to the 97.5th percentile of these values (Efron, "Bootstrap Methods: Another Look
at the Jackknife", Annals of Statistics 1979; the percentile interval of Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993). Images count as independent of each other: for frames of one video or
photos of one animal the truth varies more. Draws hold fewer different images than there are, with which a
calibration error becomes larger: its interval lies rather too high where images are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 1000
LEVEL = 0.95
SEED = 42
_CHUNK = 1 << 22
"""Weights that are held at once."""

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""From how often each image was drawn, shape (draws, images), to values of shape (draws, …) by name."""


@dataclass(frozen=True)
class Figure:
    """A value, or several of a kind, with the interval that it lies in: arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, or lists of them; None for what is not a number."""
        return {name: _plain(getattr(self, name)) for name in ("value", "low", "high")}


def figures_of(
    statistics: Statistics, images: int, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Figure]:
    """Every value that `statistics` computes, with its interval.

    Args:
        statistics: called with all images once, for the values, then with draws of them, a few at a time.
        images: how many there are, at least one.
        draws: how often images are drawn again.
        seed: the same seed gives the same draws, and so the same intervals.
    """
    values = {name: np.asarray(each)[0] for name, each in statistics(np.ones((1, images))).items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for weights in resampled(images, draws, seed):
        for name, each in statistics(weights).items():
            drawn[name].append(np.asarray(each))
    return {name: Figure(value, *_interval(np.concatenate(drawn[name]))) for name, value in values.items()}


def resampled(images: int, draws: int = DRAWS, seed: int = SEED) -> Iterator[np.ndarray]:
    """How often each image is in each draw: arrays of (some draws, images), `draws` rows in all."""
    generator = np.random.default_rng(seed)
    at_once = max(1, min(draws, _CHUNK // images))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        chosen = generator.integers(0, images, (count, images)) + images * np.arange(count)[:, None]
        yield np.bincount(chosen.ravel(), minlength=count * images).reshape(count, images).astype(float)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)


def class_mean(values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The mean over classes, the last axis, of those that occur.

    A class that a draw lacks counts with its value of all images: otherwise means would be over other classes
    from draw to draw, and rise or fall with the rare ones.

    Args:
        values: shape (draws, classes); not numbers for classes that do not occur.
        whole: those of all images, shape (1, classes).
    """
    known = ~np.isnan(whole[0])
    filled = np.where(np.isnan(values), whole, values)[:, known]
    return filled.mean(axis=1) if known.any() else np.full(len(values), np.nan)


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The percentiles over the first axis; draws in which a figure is not a number are left out."""
    tail = 100 * (1 - LEVEL) / 2
    known = ~np.isnan(values)
    filled = np.where(known.any(axis=0), values, 0)
    low, high = np.nanpercentile(filled, [tail, 100 - tail], axis=0)
    low, high = (np.where(known.any(axis=0), side, np.nan) for side in (low, high))
    return low, high


def _plain(values: np.ndarray) -> Any:
    if np.ndim(values):
        return [_plain(each) for each in values]
    return float(values) if np.isfinite(values) else None
