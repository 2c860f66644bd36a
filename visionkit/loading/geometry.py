"""Fastai's geometric batch transforms as matrices: what they would do in turn, in one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from fastai.vision.augment import AffineCoordTfm, RandomResizedCropGPU, _WarpCoord, find_coeffs
from fastai.vision.core import TensorPoint
from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""
GEOMETRIC = (AffineCoordTfm, RandomResizedCropGPU)


class Geometry(NamedTuple):
    """Where the pixels of a batch come from.

    Args:
        matrices: from a pixel of the output to one of the item, homogeneous x, y, 1; float64 of shape
            (images, 3, 3). Pixel 0 has its centre at 0.
        size: of the output.
    """

    matrices: np.ndarray
    size: Size

    def rows(self, own: slice) -> Geometry:
        """Of some of the images."""
        return Geometry(self.matrices[own], self.size)


def is_known(transform: Any) -> bool:
    """Whether `draw_geometry` can tell what this transform does."""
    if isinstance(transform, AffineCoordTfm):
        return transform.mode == "bilinear" and all(type(fs) is _WarpCoord for fs in transform.coord_fs)
    return isinstance(transform, RandomResizedCropGPU) and transform.mode == "bilinear"


def draw_geometry(transforms: list[Any], count: int, size: Size) -> Geometry:
    """Have `transforms` draw their numbers for a training batch of `count` items of `size`.

    They draw them as they do for a batch that they change themselves, so the distribution is theirs.
    """
    whole = np.tile(np.eye(3), (count, 1, 1))
    for transform in transforms:
        blank = torch.zeros(1).expand(count, 3, *size)
        transform.before_call(blank, 0)
        if isinstance(transform, RandomResizedCropGPU):
            step, size = _crop(transform)
        else:
            step, size = _affine(transform, size)
        whole = whole @ step
    return Geometry(whole, size)


def _crop(transform: RandomResizedCropGPU) -> tuple[np.ndarray, Size]:
    """A crop that is brought to the size, corner pixels upon corner pixels; the same for all of the batch."""
    (top, left), (down, across) = transform.tl, transform.cp_size
    height, width = transform.size
    x, y = (across - 1) / max(width - 1, 1), (down - 1) / max(height - 1, 1)
    return np.array([[x, 0, left], [0, y, top], [0, 0, 1]], dtype=float), (height, width)


def _affine(transform: AffineCoordTfm, size: Size) -> tuple[np.ndarray, Size]:
    target = size if transform.cp_size is None else (int(transform.cp_size[0]), int(transform.cp_size[1]))
    last = torch.tensor([0.0, 0.0, 1.0]).expand(len(transform.mat), 1, 3)
    matrix = _numbers(torch.cat([transform.mat.as_subclass(Tensor), last], dim=1))
    for warp in transform.coord_fs:
        matrix = _perspective(warp) @ matrix
    corners = bool(transform.align_corners)
    return _to_pixels(size, corners) @ matrix @ _to_unit(target, corners), target


def _perspective(warp: Any) -> np.ndarray:
    corners = (points.as_subclass(Tensor) for points in (warp.orig_pts, warp.targ_pts))
    coefficients = _numbers(find_coeffs(*corners))[..., 0]
    return np.concatenate([coefficients, np.ones((len(coefficients), 1))], axis=1).reshape(-1, 3, 3)


def _numbers(values: Tensor) -> np.ndarray:
    return values.double().numpy()


def _to_unit(size: Size, corners: bool) -> np.ndarray:
    """From pixels to fastai's coordinates of -1 to 1, between the centres of corner pixels or their edges."""
    height, width = size
    if corners:
        x, y, offset = 2 / max(width - 1, 1), 2 / max(height - 1, 1), (-1.0, -1.0)
    else:
        x, y, offset = 2 / width, 2 / height, (1 / width - 1, 1 / height - 1)
    return np.array([[x, 0, offset[0]], [0, y, offset[1]], [0, 0, 1]])


def _to_pixels(size: Size, corners: bool) -> np.ndarray:
    return np.linalg.inv(_to_unit(size, corners))


def unit_matrices(geometry: Geometry, size: Size, corners: bool) -> Tensor:
    """The matrices between coordinates of -1 to 1 over output and item (of `size`): float32, images x 3 x 3.

    They are for torch's `grid_sample` with `corners` as its `align_corners`.
    """
    steps = _to_unit(size, corners) @ geometry.matrices @ _to_pixels(geometry.size, corners)
    return torch.from_numpy(steps).float()


def moved_points(points: TensorPoint, geometry: Geometry, size: Size, corners: bool) -> TensorPoint:
    """Where points of items of `size` are in the output, in coordinates of -1 to 1 over either.

    Args:
        points: of shape (images, points, 2) or (images, 2).
        geometry: of the batch.
        size: of the items.
        corners: whether -1 and 1 are the centres of the outermost pixels, rather than the edges.
    """
    matrices = _to_unit(size, corners) @ geometry.matrices @ _to_pixels(geometry.size, corners)
    there = torch.from_numpy(np.linalg.inv(matrices)).float()
    plain = points.as_subclass(Tensor).reshape(len(matrices), -1, 2)
    moved = torch.cat([plain, torch.ones(*plain.shape[:2], 1)], dim=2) @ there.transpose(1, 2)
    return TensorPoint((moved[..., :2] / moved[..., 2:]).reshape(points.shape))
