"""FashionAI's average precision of one attribute, and the reciprocal rank that is often taken for it.

The competition (Tianchi 2018, attributes recognition of apparel) looks at the value with the highest
probability only. For every threshold on that probability it takes the precision among the images above it:
right where the label has `y`, wrong where it has `n`, and not counted where it has `m`. The average over the
thresholds is the attribute's AP, and the mean over the eight attributes the mAP of the leaderboard.

The organisers' program is not public. This follows the task's description, and takes every image's
probability as one threshold, as programs of participants do. The other usual average precision divides by
the number of right images only; scikit-learn's `average_precision_score` computes that one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def average_precision(
    probabilities: np.ndarray, targets: np.ndarray, maybe: Sequence[Sequence[int]] | None = None
) -> float:
    """The mean, over all counted images, of the precision among those predicted at least as confidently.

    Args:
        probabilities: float of shape (images, values).
        targets: the places of the right values, int of shape (images,).
        maybe: for each image the places of the values that count neither as right nor as wrong.

    Returns:
        0 to 1; images of equal confidence count together, so that their order does not matter. NaN where no
        image counts.
    """
    guesses, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    counted = np.ones(len(targets), dtype=bool)
    if maybe is not None:
        counted = np.array([guess not in places for guess, places in zip(guesses, maybe)], dtype=bool)
    if not counted.any():
        return float("nan")
    right, confidence = (guesses == targets)[counted], confidence[counted]
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    above = np.searchsorted(-ranked, -ranked, side="right")  # images at least as confident as each
    precision = np.cumsum(right[order])[above - 1] / above
    return float(precision.mean())


def reciprocal_rank(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The mean of 1 / the rank of the right value among the image's values, 1 being the most probable.

    MXNet's tutorial for the competition prints this under the name of mAP. Values of equal probability share
    the worst of their ranks.
    """
    own = probabilities[np.arange(len(targets)), targets]
    ranks = (probabilities >= own[:, None]).sum(axis=1)
    return float((1 / ranks).mean())
