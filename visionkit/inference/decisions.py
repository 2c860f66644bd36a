"""Which tags an image gets, from their probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def tags_over(probabilities: np.ndarray, thresholds: ArrayLike) -> np.ndarray:
    """Every tag whose probability is greater than its threshold.

    Args:
        probabilities: shape (images, tags).
        thresholds: one for all tags, or one for each.

    Returns:
        Booleans of the shape of `probabilities`.
    """
    return np.asarray(probabilities > np.asarray(thresholds, dtype=probabilities.dtype))


def tags_by_expected_fbeta(probabilities: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """The set of tags with the greatest expected F-beta, if tags are independent of each other.

    Such a set has the likeliest tags, and only how many remains to be found. For k chosen tags, i of them
    right and j tags missed, F is (1 + beta²) i / (beta² (i + j) + k); its expectation runs over the
    distributions of i and j, which are sums of independent yes-or-no variables.

    Args:
        probabilities: shape (images, tags).
        beta: how much more a missed tag costs than a wrong one.

    Returns:
        Booleans of the shape of `probabilities`; at least one tag for each image.
    """
    chosen = np.zeros(probabilities.shape, dtype=bool)
    for row, marks in zip(probabilities.astype(np.float64), chosen):
        order = np.argsort(-row, kind="stable")
        marks[order[: _best_count(row[order], beta**2)]] = True
    return chosen


def _best_count(falling: np.ndarray, weight: float) -> int:
    """How many of the tags, whose probabilities fall, to take."""
    tags = len(falling)
    missed = [np.ones(1)]  # missed[-k]: how many of the tags from the k-th on are there
    for probability in falling[::-1]:
        missed.append(_with(missed[-1], probability))
    right = np.ones(1)
    best, count = -1.0, 1
    for k in range(1, tags + 1):
        right = _with(right, falling[k - 1])
        i, j = np.arange(k + 1)[:, None], np.arange(tags - k + 1)[None]
        gain = (1 + weight) * i / (weight * (i + j) + k)
        expected = float(right @ gain @ missed[tags - k])
        if expected > best:
            best, count = expected, k
    return count


def _with(distribution: np.ndarray, probability: float) -> np.ndarray:
    """The distribution of a count, with one more that is there with `probability`."""
    longer = np.zeros(len(distribution) + 1)
    longer[:-1] = distribution * (1 - probability)
    longer[1:] += distribution * probability
    return longer
