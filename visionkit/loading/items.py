"""Fastai's item transforms for images from the cache: which part of a kept image a training item is."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from fastai.data.transforms import ToTensor
from fastai.vision import augment
from fastai.vision.core import AddMaskCodes, PointScaler, Transform

from visionkit.cache.form import Form
from visionkit.loading.borders import border
from visionkit.loading.geometry import Size

LARGEST_SPARE = 2.0
"""Of a random crop's size, which decides the size that images are kept at."""
_OF_TARGETS = (AddMaskCodes, PointScaler, ToTensor)


class Unknown(Exception):
    """A transform that the cache cannot stand in for. The message names it."""


class Cut(NamedTuple):
    """A part of a kept image, in its pixels, that is brought to the item's size.

    Where `left` or `top` is negative the item reaches beyond the image, and is padded.
    """

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class ItemStep:
    """What the item transforms do: one resizing, or nothing.

    Args:
        transform: fastai's `Resize` or `RandomResizedCrop`; it draws the numbers.
        size: of the items.
        form: in which images have to be kept for that.
    """

    transform: Any
    size: Size
    form: Form

    @classmethod
    def of(cls, transforms: list[Any], mode: Any, upright: bool) -> ItemStep:
        """The step that `transforms` (a pipeline's `fs`) are.

        Raises:
            Unknown: they are something else.
        """
        steps = [
            each for each in transforms if not (type(each) is Transform or isinstance(each, _OF_TARGETS))
        ]
        if len(steps) != 1:
            names = ", ".join(type(each).__name__ for each in steps) or "none"
            raise Unknown(
                f"of item transforms it takes one Resize or RandomResizedCrop, and here are {names}"
            )
        step = steps[0]
        if type(step) not in (augment.Resize, augment.RandomResizedCrop):
            raise Unknown(f"it does not know the item transform {type(step).__name__}")
        width, height = map(int, step.size)
        if isinstance(step, augment.RandomResizedCrop):
            spare = min(LARGEST_SPARE, float(step.min_scale) ** -0.5)
            form = Form("crop", round(height * spare), round(width * spare), mode, upright)
            return cls(step, (height, width), form)
        return cls(step, (height, width), Form(str(step.method), height, width, mode, upright))  # type: ignore[arg-type]

    @property
    def padding(self) -> int:
        """OpenCV's name for what lies beyond an image that is smaller than its item.

        Fastai reflects images about the centres of their outermost pixels before it makes them smaller;
        afterwards that is close to their edges.
        """
        return border(str(getattr(self.transform, "pad_mode", "zeros")), about_pixels=False)

    @property
    def fixed(self) -> bool:
        """Whether an item is always the whole image."""
        return self.form.method == "squish"

    def draw(self, kept: np.ndarray, full: np.ndarray) -> list[Cut]:
        """A part of each image for a training batch, drawn by the transform itself.

        Args:
            kept: heights and widths of the kept images, of shape (images, 2).
            full: those of the images themselves.
        """
        if self.fixed:
            return [Cut(0, 0, width, height) for height, width in kept.tolist()]
        draw = self._crop if isinstance(self.transform, augment.RandomResizedCrop) else self._place
        return [draw(*sizes) for sizes in np.hstack([kept, full]).tolist()]

    def _crop(self, height: int, width: int, full_height: int, full_width: int) -> Cut:
        self.transform.before_call(SimpleNamespace(size=(full_width, full_height)), 0)
        (left, top), (across, down) = self.transform.tl, self.transform.cp_size
        x, y = width / full_width, height / full_height
        cut_width, cut_height = max(1, round(across * x)), max(1, round(down * y))
        return Cut(
            min(round(left * x), width - cut_width),
            min(round(top * y), height - cut_height),
            cut_width,
            cut_height,
        )

    def _place(self, height: int, width: int, full_height: int, full_width: int) -> Cut:
        self.transform.before_call(None, 0)
        x, y = self.transform.pcts
        ratios = width / self.size[1], height / self.size[0]
        ratio = max(ratios) if self.form.method == "pad" else min(ratios)
        across, down = max(1, round(self.size[1] * ratio)), max(1, round(self.size[0] * ratio))
        # places are drawn among the image's own pixels, of which there are more
        left = int(x * (width - across) * full_width / width) * width / full_width
        top = int(y * (height - down) * full_height / height) * height / full_height
        return Cut(round(left), round(top), across, down)
