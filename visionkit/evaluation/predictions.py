"""Predictions of labels and tags on the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of every validation image.

    `probabilities` is float of shape (images, classes). `targets` are class indices (images,), or 0/1 tags
    (images, classes). `losses` is the loss of each image.
    """

    name: str
    images: list[Path]
    vocab: list[str]
    probabilities: np.ndarray
    targets: np.ndarray
    losses: np.ndarray


def predict_validation(learn: Learner, dataset: Dataset, vocab: Sequence[str]) -> Predictions:
    """Run `learn` over the validation images, in their order."""
    with learn.no_bar(), learn.no_logging():
        probabilities, targets = (np.asarray(part.float()) for part in learn.get_preds(ds_idx=1))
    if targets.ndim == 1:
        targets = targets.astype(int)
    images = [dataset.images[index] for index in dataset.valid]
    losses = image_losses(probabilities, targets)
    return Predictions(dataset.recipe.name, images, list(vocab), probabilities, targets, losses)


def image_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image in nats; for tags the mean over tags of the binary cross-entropy."""
    tiny = 1e-7
    if targets.ndim == 1:
        chosen = probabilities[np.arange(len(targets)), targets]
        return -np.log(np.maximum(chosen, tiny))
    clipped = np.clip(probabilities, tiny, 1 - tiny)
    return -np.mean(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped), axis=1)
