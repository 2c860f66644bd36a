"""The targets of a loader's items, encoded once and kept in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fastai.torch_core import TensorBase, tensor
from fastai.vision.core import PointScaler, TensorPoint, _scale_pnts
from torch import Tensor

from visionkit.loading.items import Unknown


class Targets:
    """Classes, tags or points of a loader's items, as the loader would give them.

    Args:
        values: a row for each item.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def take(self, places: Any) -> Tensor:
        """Those of the items at `places`, of fastai's type."""
        kind = type(self.values)
        taken = self.values.as_subclass(Tensor)[torch.as_tensor(np.asarray(places, dtype=np.int64))]
        return taken.as_subclass(kind)


def encoded_targets(dataset: Any, scaler: PointScaler | None, sizes: np.ndarray) -> Targets:
    """The targets of all items of fastai's `dataset`.

    Args:
        dataset: `Datasets` with two types, image and target.
        scaler: scales points to -1 to 1; None where targets are no points.
        sizes: height and width of each item's image, in pixels.

    Raises:
        Unknown: they cannot be put side by side.
    """
    rows = [_tensor(dataset.tls[1][place]) for place in range(len(dataset))]
    kinds = {(type(row), row.shape, row.dtype) for row in rows}
    if len(kinds) != 1:
        raise Unknown("targets differ in shape")
    if isinstance(rows[0], TensorPoint):
        if scaler is None:
            raise Unknown("points are not scaled")
        rows = [
            _scale_pnts(points, (float(width), float(height)), scaler.do_scale, scaler.y_first)
            for points, (height, width) in zip(rows, sizes.tolist())
        ]
    kind = type(rows[0])
    return Targets(torch.stack([row.as_subclass(Tensor) for row in rows]).as_subclass(kind))


def _tensor(target: Any) -> Tensor:
    if isinstance(target, Tensor):
        return target
    try:
        return tensor(target).as_subclass(TensorBase)
    except Exception as error:  # whatever a block's own type is
        raise Unknown(f"it does not know targets of type {type(target).__name__}") from error
