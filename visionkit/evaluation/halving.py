"""Two halves of labelled images: what is fitted on one is judged on the other."""

from __future__ import annotations

import warnings

import numpy as np

SEED = 42


def halves(targets: np.ndarray, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """The places of two halves with about the same share of every class, or of every tag.

    Args:
        targets: class indices (images,), or 0/1 tags (images, tags).
        seed: the same seed gives the same halves.
    """
    mixed = np.random.default_rng(seed).permutation(len(targets))
    if targets.ndim == 1:
        by_class = mixed[np.argsort(targets[mixed], kind="stable")]
        return np.sort(by_class[::2]), np.sort(by_class[1::2])
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags with fewer than two images
            folds = MultilabelStratifiedKFold(2, shuffle=True, random_state=seed)
            first, second = next(folds.split(targets, targets))
    except ValueError:  # too few images
        first, second = mixed[::2], mixed[1::2]
    return np.sort(first), np.sort(second)
