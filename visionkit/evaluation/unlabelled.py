"""Probabilities for images without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastai.learner import Learner


def predict_unlabelled(learn: Learner, images: Sequence[Path]) -> np.ndarray:
    """Probabilities of shape (images, classes); batch after batch is read, so their number does not matter.

    `learn` is of a recipe whose DataBlock takes an image by its path.
    """
    loader = learn.dls.test_dl(list(images), num_workers=learn.dls.valid.fake_l.num_workers)
    with learn.no_bar(), learn.no_logging():
        probabilities, _ = learn.get_preds(dl=loader)
    return np.asarray(probabilities.float())
