"""Test-time augmentation by crops: several parts of a slightly larger image, and the mean of what is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset

ENLARGED = 8 / 7
"""Of the image's size to that of a crop: 256 to 224, as is usual."""


def crop_probabilities(learn: Learner, dataset: Dataset, size: int, crops: int) -> np.ndarray:
    """Mean probabilities over crops of the validation images, in their order: (images, classes).

    Args:
        learn: a trained classifier.
        dataset: whose validation images are read again, at `ENLARGED` times `size`.
        size: of a crop, in pixels.
        crops: 5 for the centre and the corners, 10 for these and their mirror images.
    """
    from visionkit.models.architectures import find_architecture
    from visionkit.training.learner import normalize

    dls = dataset.dataloaders(max(round(size * ENLARGED), size + 1), learn.dls.device, fill=False)
    normalize(dls, *find_architecture(dataset.settings.arch).normalization)
    was_training = learn.model.training
    learn.model.eval()
    means = []
    with torch.no_grad():
        for images, _ in dls.valid:
            parts = [
                _probabilities(learn, crop) for crop in take_crops(images.as_subclass(Tensor), size, crops)
            ]
            means.append(torch.stack(parts).mean(dim=0).cpu())
    learn.model.train(was_training)
    return torch.cat(means).numpy()


def take_crops(images: Tensor, size: int, crops: int, width: int | None = None) -> Iterator[Tensor]:
    """The centre of `images` (batch x channels x rows x columns), their corners, and for 10 the mirrored.

    Crops have `size` rows, and as many columns where no `width` is given.
    """
    width = size if width is None else width
    down, right = images.shape[-2] - size, images.shape[-1] - width
    for top, left in ((down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)):
        crop = images[..., top : top + size, left : left + width]
        yield crop
        if crops == 10:
            yield crop.flip(-1)


def _probabilities(learn: Learner, images: Tensor) -> Tensor:
    probabilities: Tensor = learn.loss_func.activation(learn.model(images).float())
    return probabilities.as_subclass(Tensor)
