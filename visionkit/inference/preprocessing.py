"""From an image to a network's input, as the training's validation does it, without fastai."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import pad

from visionkit.data.upright import turned_upright
from visionkit.errors import DataError
from visionkit.inference.description import (
    CentreCrop,
    Interpolate,
    Normalise,
    PictureStep,
    RatioCrop,
    Resize,
    Steps,
    TensorStep,
    ToTensor,
)
from visionkit.inference.photos import NARROWEST, open_picture

LARGEST = 1 << 28
"""Pixels that a picture may be padded to."""
_PADDING = {"zeros": "constant", "border": "edge", "reflection": "reflect"}


@dataclass(frozen=True)
class Window:
    """The part of an image that the network sees, in pixels from its upper left corner.

    The image is as `Preprocessing.read` gives it. Where a step pads, the window reaches beyond it.
    """

    left: float
    top: float
    width: float
    height: float

    def part(self, left: float, top: float, width: float, height: float) -> Window:
        """A part of this window, given in shares of it."""
        return Window(
            self.left + left * self.width,
            self.top + top * self.height,
            width * self.width,
            height * self.height,
        )


class Preprocessing:
    """The steps of a bundle; call it with an RGB picture to have the network's input.

    Args:
        steps: those of the description.
        size: height and width of the inputs; others are refused.
    """

    def __init__(self, steps: Steps, size: Sequence[int]) -> None:
        self.steps = steps
        self.size = (size[0], size[1])

    def __call__(self, image: str | Path | Image.Image) -> Tensor:
        """The input for one image: float32, channels x rows x columns, normalised.

        Raises:
            DataError: the image cannot be used; of a file, the message is the reason only, without its name.
        """
        return self.inputs(self.pixels(image)[None])[0]

    def pixels(self, image: str | Path | Image.Image) -> Tensor:
        """What the steps on pictures leave of an image: uint8, channels x rows x columns.

        All are of one size where one of the steps says which.

        Raises:
            DataError: as a call.
        """
        picture = self.read(image)
        if not self._fits(picture):
            raise DataError(
                f"{picture.width}x{picture.height} pixels; the model was trained without resizing, and takes "
                f"images of {self.size[1]}x{self.size[0]} only"
            )
        for step in self.steps.steps:
            if isinstance(step, PictureStep):
                picture = _changed(picture, step)
        return _tensor(picture)

    def inputs(self, pixels: Tensor) -> Tensor:
        """The network's inputs for a batch of `pixels`, on their device, by the other steps."""
        values = pixels
        for step in self.steps.steps:
            if isinstance(step, ToTensor):
                values = values.float().div_(step.divisor)
            elif not isinstance(step, PictureStep):
                values = _computed(values, step)
        return values

    def read(self, image: str | Path | Image.Image) -> Image.Image:
        """The picture as training reads it: in the mode of the steps, and upright where they say so.

        Its EXIF mark tells how it is turned; one that was read before is not turned again.

        Raises:
            DataError: it cannot be used.
        """
        return (
            self._converted(image)
            if isinstance(image, Image.Image)
            else open_picture(image if isinstance(image, Path) else Path(image), self._converted)
        )

    def window(self, width: int, height: int) -> Window:
        """What the network sees of an image of this size, as `read` gives it."""
        window, _ = self._seen(width, height)
        return window

    def _converted(self, image: Image.Image) -> Image.Image:
        short, long = sorted((image.width, image.height))
        if short == 0 or long > NARROWEST * short:
            raise DataError(f"{image.width}x{image.height} pixels are too long and narrow; cut it")
        image.load()
        picture = image if image.mode == self.steps.mode else image.convert(self.steps.mode)
        return turned_upright(picture, release=picture is not image) if self.steps.upright else picture

    def _fits(self, picture: Image.Image) -> bool:
        _, size = self._seen(picture.width, picture.height)
        return (size[1], size[0]) == self.size

    def _seen(self, width: int, height: int) -> tuple[Window, tuple[int, int]]:
        """The window of an image of this size, and the width and height of its input."""
        window, size = Window(0, 0, width, height), (width, height)
        for step in self.steps.steps:
            if isinstance(step, PictureStep | RatioCrop):
                left, top, across, down = _cut(step, *size)
                window = window.part(left / size[0], top / size[1], across / size[0], down / size[1])
                size = (across, down) if isinstance(step, RatioCrop) else (step.width, step.height)
            elif isinstance(step, Interpolate) and step.size is not None:
                size = (step.size[1], step.size[0])
        return window, size


def _cut(step: Resize | CentreCrop | RatioCrop, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of what a step leaves of an image; rounded as fastai rounds."""
    if isinstance(step, RatioCrop):
        return _ratio_cut(step, width, height)
    if isinstance(step, CentreCrop):
        return (width - step.width) // 2, (height - step.height) // 2, step.width, step.height
    if step.method == "squish":
        return 0, 0, width, height
    scales = (width / step.width, height / step.height)
    scale = max(scales) if step.method == "pad" else min(scales)
    across, down = max(1, int(scale * step.width)), max(1, int(scale * step.height))
    return int(0.5 * (width - across)), int(0.5 * (height - down)), across, down


def _ratio_cut(step: RatioCrop, width: int, height: int) -> tuple[int, int, int, int]:
    across, down = width, height
    if width / height < step.ratio[0]:
        down = int(width / step.ratio[0])
    elif width / height > step.ratio[1]:
        across = int(height * step.ratio[1])
    across, down = max(1, int(across * step.scale)), max(1, int(down * step.scale))
    return (width - across) // 2, (height - down) // 2, across, down


def _changed(picture: Image.Image, step: PictureStep) -> Image.Image:
    left, top, across, down = _cut(step, picture.width, picture.height)
    picture = _crop_and_pad(picture, left, top, across, down, _PADDING[step.pad_mode])
    if isinstance(step, CentreCrop):
        return picture
    return picture.resize((step.width, step.height), Image.Resampling[step.resample.upper()])


def _crop_and_pad(
    picture: Image.Image, left: int, top: int, across: int, down: int, padding: str
) -> Image.Image:
    if across * down > LARGEST:
        raise DataError(f"{picture.width}x{picture.height} pixels are too long and narrow; cut it")
    right, bottom = left + across, top + down
    inside = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    outside = [max(-left, 0), max(-top, 0), max(right - picture.width, 0), max(bottom - picture.height, 0)]
    if inside != (0, 0, picture.width, picture.height):
        picture = picture.crop(inside)
    return pad(picture, outside, padding_mode=padding) if any(outside) else picture


def _tensor(picture: Image.Image) -> Tensor:
    pixels = np.array(picture)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)


def _computed(images: Tensor, step: TensorStep) -> Tensor:
    if isinstance(step, Normalise):
        mean, std = (
            torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (step.mean, step.std)
        )
        return (images - mean) / std
    if isinstance(step, RatioCrop):
        left, top, across, down = _ratio_cut(step, images.shape[-1], images.shape[-2])
        return images[..., top : top + down, left : left + across]
    return _interpolated(images, step)


def _interpolated(images: Tensor, step: Interpolate) -> Tensor:
    """As fastai's `grid_sample` over the whole image; where there is a faster way to the same, by that."""
    size = step.size or list(images.shape[-2:])
    if list(images.shape[-2:]) == size:  # every place is the middle of a pixel
        return images
    same = torch.eye(3, device=images.device)[None, :2].expand(len(images), -1, -1)
    places = functional.affine_grid(
        same, [len(images), images.shape[1], *size], align_corners=step.align_corners
    )
    if step.mode == "bilinear":
        images = _shrunk(images, size, places)
        inside = min(size) > 1 if step.align_corners else step.pad_mode != "zeros"
        if inside:
            return functional.interpolate(
                images, size=tuple(size), mode="bilinear", align_corners=step.align_corners
            )
    return functional.grid_sample(
        images, places, mode=step.mode, padding_mode=step.pad_mode, align_corners=step.align_corners
    )


def _shrunk(images: Tensor, size: Sequence[int], places: Tensor) -> Tensor:
    """Images more than twice as large as `size` are averaged first, as fastai does it: to twice the size."""
    zoom = 2 / float(places.max() - places.min())
    shrink = min(images.shape[-2] / size[0], images.shape[-1] / size[1]) / 2
    if shrink > 1 and shrink > zoom:
        return functional.interpolate(
            images, scale_factor=1 / shrink, mode="area", recompute_scale_factor=True
        )
    return images
