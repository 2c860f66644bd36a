"""Key points: fastai's block for them, and the way from what a network sees to the pixels of the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from visionkit.data.opening import opened, reason
from visionkit.errors import VisionkitError

if TYPE_CHECKING:
    from fastai.data.block import TransformBlock
    from fastai.data.core import DataLoaders

Points = list[tuple[float, float]]
"""The points of one image: x to the right and y downwards from its upper left corner, in pixels. A list, as
fastai takes tuples apart."""


@dataclass(frozen=True)
class Windows:
    """Which part of each image the network sees: -1 to 1 of its outputs span it.

    Args:
        origin: where -1, -1 is in the image, as stored; pixels, shape (images, 2) for x and y.
        span: how many of the image's pixels there are from -1 to 1, of the same shape.
    """

    origin: np.ndarray
    span: np.ndarray

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points of -1 to 1, shape (images, points, 2), in pixels of their images as stored."""
        return np.asarray(self.origin[:, None] + (points + 1) / 2 * self.span[:, None])


def KeypointBlock(names: Sequence[str]) -> TransformBlock:
    """Fastai's `PointBlock` for points with names; every image has all of them, in this order.

    Targets are `Points`. A flip mirrors points and does not exchange a left with a right one: where there are
    such pairs, augment with `aug_transforms(do_flip=False)`.
    """
    from fastai.data.block import TransformBlock
    from fastai.vision.core import PointScaler, TensorPoint

    return TransformBlock(type_tfms=TensorPoint.create, item_tfms=[PointScaler, _names_transform(names)])


def point_names(dls: DataLoaders) -> list[str]:
    """The names that a `KeypointBlock` gave its points; for fastai's `PointBlock` "point 1" and so on."""
    named = next(
        (names for fs in dls.train.after_item.fs if (names := getattr(fs, "point_names", None))), None
    )
    return list(named) if named else [f"point {number + 1}" for number in range(dls.train.after_item.c // 2)]


def image_sizes(images: Iterable[Path]) -> list[tuple[int, int]]:
    """(width, height) of each image as stored, in pixels, from the head of its file.

    Raises:
        VisionkitError: an image cannot be opened (any more).
    """
    sizes = []
    for path in images:
        try:
            with opened(path) as image:
                sizes.append(image.size)
        except Exception as error:  # Pillow raises nearly anything on hostile content
            raise VisionkitError(f"{path}: the image does not open ({reason(error)}).") from error
    return sizes


def visible_windows(dls: DataLoaders, sizes: Sequence[tuple[int, int]]) -> Windows:
    """What the validation transforms of `dls` leave of images of these sizes: all of them, or a crop.

    The corners of an empty image of each size are sent through the transforms, whichever those are.
    """
    windows = {size: _window(dls, size) for size in dict.fromkeys(sizes)}
    return Windows(
        np.array([windows[size][0] for size in sizes]), np.array([windows[size][1] for size in sizes])
    )


def _window(dls: DataLoaders, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    from fastai.vision.core import PILImage, TensorPoint, compose_tfms

    blank = PILImage.create(Image.new("RGB", size))
    corners = TensorPoint.create([(0, 0), size])
    _, landed = compose_tfms((blank, corners), tfms=dls.valid.after_item.fs, split_idx=1)
    first, last = np.asarray(landed, dtype=np.float64)
    span = 2 * np.array(size) / (last - first)
    return -(1 + first) / 2 * span, span


def _names_transform(names: Sequence[str]) -> Any:
    from fastai.vision.core import Transform

    transform = Transform()
    transform.point_names = list(names)
    return transform
