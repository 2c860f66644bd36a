"""The probabilities above which tags count, chosen for the greatest mean F-beta over images.

Both searches are exact on what they are given: one threshold for all tags is tried between all probabilities
that occur; one for each tag is found by coordinate ascent, tag by tag, each time between all probabilities of
that tag, until no tag gains any more. Many thresholds fit few images too well, so figures belong to images
that they were not fitted on, and a rare tag keeps the common threshold.
"""

from __future__ import annotations

import numpy as np

FEWEST = 5
"""Images with a tag, and without it, below which it gets no threshold of its own."""
_GAIN = 1e-9
_MOST_ROUNDS = 20


def mean_fbeta(chosen: np.ndarray, targets: np.ndarray, beta: float = 2.0) -> float:
    """The mean over images of F-beta of their tags; 0 for an image without tags (as scikit-learn has it).

    Args:
        chosen: which tags are predicted, boolean or 0/1, shape (images, tags).
        targets: which tags there are, of the same shape.
        beta: how much more a missed tag costs than a wrong one.
    """
    return float(image_fbeta(chosen, targets, beta).mean())


def image_fbeta(chosen: np.ndarray, targets: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """F-beta of each image's tags, as `mean_fbeta`."""
    chosen, targets = chosen.astype(bool), targets.astype(bool)
    return _fbeta((chosen & targets).sum(axis=1), chosen.sum(axis=1), targets.sum(axis=1), beta)


def best_common(probabilities: np.ndarray, targets: np.ndarray, beta: float = 2.0) -> float:
    """The one threshold for all tags with the greatest `mean_fbeta`, strictly above which a tag counts."""
    places, scores = threshold_curve(probabilities, targets, beta)
    return _middle_of_best(places, scores)


def threshold_curve(
    probabilities: np.ndarray, targets: np.ndarray, beta: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """`mean_fbeta` at every threshold that makes a difference: thresholds, falling, and their scores."""
    images, tags = probabilities.shape
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities.astype(float), order, axis=1)
    right = np.take_along_axis(targets.astype(bool), order, axis=1).cumsum(axis=1)
    there = targets.astype(bool).sum(axis=1, keepdims=True)
    scores = _fbeta(right, np.arange(1, tags + 1)[None], there, beta)
    gains = np.diff(scores, axis=1, prepend=0).ravel()
    flat = ranked.ravel()
    falling = np.argsort(-flat, kind="stable")
    values = flat[falling]
    totals = np.concatenate([[0], gains[falling].cumsum() / images])
    return _between(values, totals)


def best_per_tag(
    probabilities: np.ndarray, targets: np.ndarray, start: float, beta: float = 2.0
) -> np.ndarray:
    """A threshold for each tag, by coordinate ascent of `mean_fbeta` from the common threshold `start`.

    Tags with fewer than `FEWEST` images, or all but so few, keep `start`.
    """
    truth, wanted = targets.astype(bool), probabilities.astype(float)
    thresholds = np.full(truth.shape[1], float(start))
    chosen = wanted > thresholds
    there = truth.sum(axis=1)
    tuned = [tag for tag, count in enumerate(truth.sum(axis=0)) if FEWEST <= count <= len(truth) - FEWEST]
    for _ in range(_MOST_ROUNDS):
        gained = False
        for tag in tuned:
            others = chosen.copy()
            others[:, tag] = False
            right, count = (others & truth).sum(axis=1), others.sum(axis=1)
            without = _fbeta(right, count, there, beta)
            gain = _fbeta(right + truth[:, tag], count + 1, there, beta) - without
            falling = np.argsort(-wanted[:, tag], kind="stable")
            totals = np.concatenate([[0], gain[falling].cumsum()])
            places, scores = _between(wanted[falling, tag], totals)
            now = float(gain[chosen[:, tag]].sum())
            if scores.max() > now + _GAIN * len(truth):
                thresholds[tag] = _middle_of_best(places, scores)
                chosen[:, tag] = wanted[:, tag] > thresholds[tag]
                gained = True
        if not gained:
            break
    return thresholds


def _fbeta(right: np.ndarray, chosen: np.ndarray, there: np.ndarray, beta: float) -> np.ndarray:
    whole = beta**2 * there + chosen
    return np.divide(
        (1 + beta**2) * right, whole, out=np.zeros(np.broadcast(right, whole).shape), where=whole > 0
    )


def _between(falling: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds between distinct neighbours of `falling`, and `totals[k]`, that of taking the first k."""
    edges = np.concatenate([[1.0], falling, [0.0]])
    apart = edges[:-1] > edges[1:]
    above, below = edges[:-1][apart], edges[1:][apart]
    middle = (above + below) / 2
    # probabilities are float32: between two that are next to each other there is nothing
    return np.where(middle.astype(np.float32) < above, middle, below), totals[apart]


def _middle_of_best(places: np.ndarray, scores: np.ndarray) -> float:
    """Of the places with the best score, the middle one of the first stretch, far from its ends."""
    best = scores >= scores.max() - _GAIN
    start = int(best.argmax())
    length = int(np.argmin(best[start:])) if not best[start:].all() else len(best) - start
    return float(places[start + (length - 1) // 2])
