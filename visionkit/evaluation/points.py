"""Key points on the validation images, and how far off they are: in pixels of the images as stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from fastai.learner import Learner, Metric
from torch import Tensor

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.data.points import Windows


class PixelError(Metric):
    """The mean distance between predicted and true points in pixels of the images as stored, whatever size
    the network sees them at: over all points of all validation images.

    It reads the images' sizes from `windows` of the DataLoaders, which those of a recipe have. It is not a
    number for others, and for a pass over other images than the validation set.
    """

    name = "pixel_error"
    sums = ("_images", "_points", "_sum")
    """What is added up where several processes validate."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._images, self._points, self._sum = 0, 0, 0.0

    def accumulate(self, learn: Learner) -> None:
        target = learn.y.as_subclass(Tensor).detach().cpu().double()
        missed = learn.pred.as_subclass(Tensor).detach().cpu().double().view_as(target) - target
        windows: Windows | None = getattr(learn.dls, "windows", None)
        if windows is None or learn.dl.dataset is not learn.dls.valid_ds:
            self._sum = math.nan
            return
        first = getattr(learn, "first_image", None)
        first = self._images if first is None else first
        span = torch.as_tensor(windows.span[first : first + len(target)])
        self._sum += float((missed * span[:, None] / 2).norm(dim=-1).sum())
        self._images += len(target)
        self._points += target.shape[0] * target.shape[1]

    @property
    def value(self) -> float:
        return self._sum / max(self._points, 1)


@dataclass(frozen=True)
class PointPredictions:
    """Where a network sees the points of the validation images, and where they are.

    `targets` and `predicted` are in pixels of the images as stored, shape (images, points, 2) for x and y.
    """

    name: str
    images: list[Path]
    points: list[str]
    targets: np.ndarray
    predicted: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Distances in pixels, shape (images, points)."""
        return np.asarray(np.linalg.norm(self.predicted - self.targets, axis=-1))


def predict_points(learn: Learner, dataset: Dataset, points: Sequence[str]) -> PointPredictions:
    """Run `learn`, whose DataLoaders are those of `dataset`, over the validation images, in their order."""
    with learn.no_bar(), learn.no_logging():
        outputs, _ = learn.get_preds(ds_idx=1)
    scaled = np.asarray(outputs.float(), dtype=np.float64).reshape(len(dataset.valid), -1, 2)
    targets = np.array([dataset.targets[index] for index in dataset.valid], dtype=np.float64)
    return PointPredictions(
        dataset.recipe.name,
        [dataset.images[index] for index in dataset.valid],
        list(points),
        targets.reshape(scaled.shape),
        learn.dls.windows.pixels(scaled),
    )
