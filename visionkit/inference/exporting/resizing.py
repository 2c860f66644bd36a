"""Pillow's cropping, padding and resizing as tensor operations, which torch.export and ONNX can follow.

A picture's size may be anything when the graph runs: places and weights are computed in the graph from its
height and width. Resizing is a product with two matrices, whose results are rounded to whole numbers as
Pillow rounds, so that hardly a pixel differs from what the network was trained on. Ready-made resizing
operators do not round in between: of a photo brought to 224 pixels every eighth value differs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from visionkit.inference.description import CentreCrop, PadMode, PictureStep, Resize

_SUPPORT = {"box": 0.5, "bilinear": 1.0, "hamming": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""How far Pillow's filters reach, in pixels of the smaller of both pictures."""


class Cut:
    """What a step leaves of a picture, in its pixels: scalar tensors of float64, whole numbers."""

    def __init__(self, left: Tensor, top: Tensor, across: Tensor, down: Tensor) -> None:
        self.left, self.top, self.across, self.down = left, top, across, down


class PictureChange(nn.Module):
    """One step on pictures, in a graph.

    Args:
        step: the step.
    """

    def __init__(self, step: PictureStep) -> None:
        super().__init__()
        self.step = step

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures of whole numbers from 0 to 255, float32, (pictures, channels, rows, columns)."""
        height, width = sides(pictures)
        cut = self.cut(height, width)
        across, down = (self.step.width, self.step.height)
        # rows first, as Pillow does it but for strongly distorted pictures
        pictures = self._along(pictures, -1, width, cut.left, cut.across, across)
        return self._along(pictures, -2, height, cut.top, cut.down, down)

    def cut(self, height: Tensor, width: Tensor) -> Cut:
        """As Python's numbers give it in `visionkit.inference.preprocessing`: of 64 bits, cut off."""
        step = self.step
        if isinstance(step, CentreCrop):
            left, top = (
                torch.floor((side - own) / 2) for side, own in ((width, step.width), (height, step.height))
            )
            return Cut(left, top, torch.full_like(width, step.width), torch.full_like(height, step.height))
        if step.method == "squish":
            return Cut(torch.zeros_like(width), torch.zeros_like(height), width, height)
        choose = torch.maximum if step.method == "pad" else torch.minimum
        scale = choose(width / step.width, height / step.height)
        across, down = (torch.trunc(scale * side).clamp(min=1) for side in (step.width, step.height))
        return Cut(torch.trunc(0.5 * (width - across)), torch.trunc(0.5 * (height - down)), across, down)

    def _along(
        self, pictures: Tensor, dim: int, side: Tensor, start: Tensor, length: Tensor, out: int
    ) -> Tensor:
        """Cut and resize one side."""
        step = self.step
        if isinstance(step, CentreCrop) or step.resample == "nearest":
            places = torch.arange(out, dtype=torch.float64)
            if isinstance(step, Resize):
                places = torch.floor((places + 0.5) * (length / out))
            return _taken(pictures, dim, start + places, side, step.pad_mode)
        if step.method == "squish":
            places = torch.arange(pictures.shape[dim], dtype=torch.float64)
        else:
            count = length.to(torch.int64).item()
            torch._check(count >= 1)
            places = torch.arange(count).to(torch.float64)
            pictures = _taken(pictures, dim, start + places, side, step.pad_mode)
        weights = filter_weights(places, length, out, step.resample).to(torch.float32)
        mixed = pictures @ weights.T if dim == -1 else weights @ pictures
        return torch.floor(mixed + 0.5).clamp(0, 255)


def sides(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width as scalar tensors of float64."""
    height, width = (torch.full((), pictures.shape[dim], dtype=torch.float64) for dim in (-2, -1))
    return height, width


def filter_weights(places: Tensor, length: Tensor, out: int, resample: str) -> Tensor:
    """How much each pixel of a side counts for each pixel of the resized side, (out, length).

    Args:
        places: 0 to `length` - 1.
        length: of the side, as a scalar.
        out: its new length.
        resample: the filter.
    """
    scale = length / out
    stretch = scale.clamp(min=1.0)
    centres = (torch.arange(out, dtype=torch.float64)[:, None] + 0.5) * scale
    reach = _SUPPORT[resample] * stretch
    first = torch.trunc(centres - reach + 0.5).clamp(min=0)
    behind = torch.minimum(torch.trunc(centres + reach + 0.5), length)
    within = (places >= first) & (places < behind)
    weights = _filter((places - centres + 0.5) / stretch, resample) * within
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.floor(weights * 2**22 + 0.5) / 2**22  # as many binary digits as Pillow counts with


def _filter(x: Tensor, resample: str) -> Tensor:
    """Pillow's filters: how much a pixel at the distance `x` counts."""
    far = x.abs()
    if resample == "box":
        return ((x > -0.5) & (x <= 0.5)).to(x.dtype)
    if resample == "bilinear":
        return (1 - far).clamp(min=0)
    if resample == "hamming":
        return torch.where(far < 1, _sinc(x) * (0.54 + 0.46 * torch.cos(math.pi * x)), 0.0)
    if resample == "lanczos":
        return torch.where(far < 3, _sinc(x) * _sinc(x / 3), 0.0)
    near = ((1.5 * far - 2.5) * far) * far + 1
    beyond = (((far - 5) * far + 8) * far - 4) * -0.5
    return torch.where(far < 1, near, torch.where(far < 2, beyond, 0.0))


def _sinc(x: Tensor) -> Tensor:
    turned = torch.where(x == 0, 1.0, x * math.pi)
    return torch.where(x == 0, 1.0, torch.sin(turned) / turned)


def _taken(pictures: Tensor, dim: int, places: Tensor, side: Tensor, pad_mode: PadMode) -> Tensor:
    """The pixels at `places`, which may lie outside, where `pad_mode` says what is there."""
    last = side - 1
    if pad_mode == "reflection":
        period = (2 * last).clamp(min=1)
        places = places - torch.floor(places / period) * period
        places = torch.minimum(places, 2 * last - places)
    inside = places.clamp(min=0).minimum(last)
    taken = pictures.index_select(dim, inside.to(torch.int64))
    if pad_mode != "zeros":
        return taken
    known = ((places >= 0) & (places <= last)).to(pictures.dtype)
    return taken * (known if dim == -1 else known[:, None])
