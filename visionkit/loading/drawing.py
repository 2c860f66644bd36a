"""A DataLoader's batch transforms, taken apart into what one warp and one table can do, and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.vision.augment import AffineCoordTfm, LightingTfm
from fastai.vision.core import TensorImage
from torch import Tensor

from visionkit.loading.geometry import GEOMETRIC, Geometry, Size, draw_geometry, is_known
from visionkit.loading.seeding import seeded

_POINTWISE = ("_BrightnessLogit", "_ContrastLogit")


@dataclass(frozen=True)
class BatchSteps:
    """Fastai's batch transforms in the order in which they are applied.

    Args:
        geometric: those that move pixels.
        pointwise: those after them that change each value by itself: to floats, lit, normalised.
        rest: those from the first on that is neither; they are applied to batches as they are.
    """

    geometric: tuple[Any, ...]
    pointwise: tuple[Any, ...]
    rest: tuple[Any, ...]

    @classmethod
    def of(cls, transforms: list[Any]) -> BatchSteps:
        """Take `transforms` (a pipeline's `fs`) apart; to floats may come before what moves pixels."""
        geometric: list[Any] = []
        pointwise: list[Any] = []
        for place, transform in enumerate(transforms):
            moved_only = all(isinstance(each, IntToFloatTensor) for each in pointwise)
            if isinstance(transform, GEOMETRIC) and is_known(transform) and moved_only:
                geometric.append(transform)
            elif _is_pointwise(transform):
                pointwise.append(transform)
            else:
                return cls(tuple(geometric), tuple(pointwise), tuple(transforms[place:]))
        return cls(tuple(geometric), tuple(pointwise), ())

    @property
    def pad_mode(self) -> str:
        """What is beyond the edges: "reflection", "border" or "zeros"."""
        return next((str(each.pad_mode) for each in self._affine()), "reflection")

    @property
    def reflects_pixels(self) -> bool:
        """Whether reflection is about the centres of the outermost pixels, rather than their edges."""
        return next((bool(each.align_corners) for each in self._affine()), True)

    def draw(self, seed: int, count: int, size: Size) -> Drawn:
        """The numbers for one training batch of `count` items of `size`.

        The same seed gives the same; the global random states stay as they are.
        """
        # without the Python code that fastai's tensor classes run around every operation
        with seeded(seed), torch._C.DisableTorchFunctionSubclass():
            geometry = draw_geometry(list(self.geometric), count, size) if self.geometric else None
            levels = torch.arange(256).to(torch.uint8).expand(count, 1, 1, 256).clone()
            for transform in self.pointwise:
                levels = transform(TensorImage(levels), split_idx=0)
            levels = levels.as_subclass(Tensor)
        return Drawn(geometry, np.ascontiguousarray(levels.float().numpy()[:, :, 0].transpose(0, 2, 1)))

    def _affine(self) -> Iterator[Any]:
        return (each for each in self.geometric if isinstance(each, AffineCoordTfm))


@dataclass(frozen=True)
class Drawn:
    """The numbers of one batch.

    Args:
        geometry: where pixels come from; None where they stay.
        levels: what becomes of each of the 256 values, by image and channel: float32, of images x 256 x
            channels. One channel counts for all.
    """

    geometry: Geometry | None
    levels: np.ndarray

    def rows(self, own: slice) -> Drawn:
        """The numbers of some of the images."""
        return Drawn(None if self.geometry is None else self.geometry.rows(own), self.levels[own])


def _is_pointwise(transform: Any) -> bool:
    if isinstance(transform, LightingTfm):
        return all(type(fs).__name__ in _POINTWISE for fs in transform.fs)
    return isinstance(transform, (IntToFloatTensor, Normalize))
