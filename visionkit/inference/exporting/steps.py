"""The steps of a model's preprocessing as modules that torch.export and ONNX can follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from visionkit.errors import UsageError
from visionkit.inference.description import (
    Interpolate,
    Normalise,
    PictureStep,
    RatioCrop,
    Steps,
    ToTensor,
)
from visionkit.inference.exporting.resizing import Cut, PictureChange, sides
from visionkit.inference.preprocessing import Preprocessing, Window


class GraphPreprocessing(nn.Module):
    """All steps in a graph: whole numbers from 0 to 255 in, (pictures, channels, rows, columns), and out what
    the network takes.

    Args:
        steps: those of the description.
        size: height and width of the network's input.

    Raises:
        UsageError: they cannot be put into a graph.
    """

    def __init__(self, steps: Steps, size: tuple[int, int]) -> None:
        super().__init__()
        pictures = [step for step in steps.steps if isinstance(step, PictureStep)]
        tensors = [step for step in steps.steps if not isinstance(step, PictureStep)]
        if not pictures and any(_changes_size(step) for step in tensors):
            raise UsageError(
                "--preprocessing graph: the model was trained on images of one size, which is changed in the "
                "batch only, and a graph cannot tell that size. Give --preprocessing outside."
            )
        self.pictures = nn.ModuleList([PictureChange(step) for step in pictures])
        self.side_lengths: tuple[int, int] | None = None if pictures else size
        """Height and width that pictures must have; None where any will do."""
        height, width = (pictures[-1].height, pictures[-1].width) if pictures else size
        changes: list[nn.Module] = []
        for step in tensors:
            change = _module(step, height, width)
            changes.append(change)
            if isinstance(change, _Cut | _Interpolated):
                height, width = change.size
        self.tensors = nn.ModuleList(changes)
        rest = Steps(mode=steps.mode, steps=[*pictures[1:], *tensors])
        first = (pictures[0].width, pictures[0].height) if pictures else (size[1], size[0])
        window = Preprocessing(rest, size).window(*first)
        # of what the first step leaves, in shares of it
        self.part = Window(
            window.left / first[0], window.top / first[1], window.width / first[0], window.height / first[1]
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """The network's input."""
        for change in self.pictures:
            pictures = change(pictures)
        for change in self.tensors:
            pictures = change(pictures)
        return pictures

    def window(self, pictures: Tensor) -> Cut:
        """The part of the pictures that the network sees, in their pixels."""
        height, width = sides(pictures)
        if self.pictures:
            cut: Cut = self.pictures[0].cut(height, width)  # type: ignore[operator]
        else:
            cut = Cut(torch.zeros_like(width), torch.zeros_like(height), width, height)
        part = self.part
        return Cut(
            cut.left + part.left * cut.across,
            cut.top + part.top * cut.down,
            part.width * cut.across,
            part.height * cut.down,
        )


def _changes_size(step: object) -> bool:
    return isinstance(step, RatioCrop) or (isinstance(step, Interpolate) and step.size is not None)


def _module(step: ToTensor | RatioCrop | Interpolate | Normalise, height: int, width: int) -> nn.Module:
    if isinstance(step, ToTensor):
        return _Divided(step.divisor)
    if isinstance(step, Normalise):
        return _Normalised(step)
    return _Cut(step, height, width) if isinstance(step, RatioCrop) else _Interpolated(step, height, width)


class _Divided(nn.Module):
    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, images: Tensor) -> Tensor:
        return images / self.divisor


class _Normalised(nn.Module):
    def __init__(self, step: Normalise) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(step.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(step.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std  # type: ignore[operator]


class _Cut(nn.Module):
    """The middle of a certain ratio."""

    def __init__(self, step: RatioCrop, height: int, width: int) -> None:
        super().__init__()
        window = Preprocessing(Steps(steps=[ToTensor(), step]), (height, width)).window(width, height)
        self.left, self.top = round(window.left), round(window.top)
        self.size = (round(window.height), round(window.width))

    def forward(self, images: Tensor) -> Tensor:
        height, width = self.size
        return images[..., self.top : self.top + height, self.left : self.left + width]


class _Interpolated(nn.Module):
    """As `visionkit.inference.preprocessing` interpolates; what hangs on the sizes is computed before."""

    def __init__(self, step: Interpolate, height: int, width: int) -> None:
        super().__init__()
        self.step = step
        self.size = (height, width) if step.size is None else (step.size[0], step.size[1])
        same = torch.eye(3)[None, :2]
        places = functional.affine_grid(same, [1, 3, *self.size], align_corners=step.align_corners)
        self.register_buffer("places", places)
        shrink = min(height / self.size[0], width / self.size[1]) / 2
        zoom = 2 / float(places.max() - places.min())
        self.shrunk: tuple[int, int] | None = None
        if step.mode == "bilinear" and shrink > 1 and shrink > zoom:
            smaller = functional.interpolate(
                torch.zeros(1, 1, height, width),
                scale_factor=1 / shrink,
                mode="area",
                recompute_scale_factor=True,
            )
            self.shrunk = (smaller.shape[-2], smaller.shape[-1])

    def forward(self, images: Tensor) -> Tensor:
        if self.shrunk is not None:
            images = functional.adaptive_avg_pool2d(images, self.shrunk)
        places = self.places.expand(images.shape[0], -1, -1, -1)  # type: ignore[operator]
        return functional.grid_sample(
            images,
            places,
            mode=self.step.mode,
            padding_mode=self.step.pad_mode,
            align_corners=self.step.align_corners,
        )
