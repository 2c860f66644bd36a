"""Training batches for a GPU: bytes are moved there, and warped and lit there, in one warp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fastai.data.transforms import IntToFloatTensor
from fastai.vision.core import TensorMask, TensorPoint
from torch import Tensor
from torch.nn import functional

from visionkit.cache.stored import OFFSET, WIDTH, Stored
from visionkit.loading.batches import Batch, TrainingFeed, Work, as_images
from visionkit.loading.buffers import Buffers
from visionkit.loading.drawing import BatchSteps
from visionkit.loading.geometry import Geometry, draw_geometry, moved_points, unit_matrices
from visionkit.loading.items import Cut, ItemStep
from visionkit.loading.seeding import seeded
from visionkit.loading.targets import Targets
from visionkit.loading.uploading import Upload
from visionkit.loading.warping import Warp

RESIDENT_SHARE = 0.25
"""Of the GPU's free memory that the images of a data set may take to be kept there."""


class DeviceTrainingFeed(TrainingFeed):
    """Random parts of the images as bytes on a device, and there what fastai's batch transforms do.

    Lighting and what else changes values draw their numbers there, as they always do.

    Args:
        stored: images of the data set, kept in the form of `step`.
        places: of the loader's items among them.
        step: which part of an image is an item.
        targets: of the loader's items; None where they are masks.
        device: that batches are made on.
    """

    def __init__(
        self,
        stored: Stored,
        places: np.ndarray,
        step: ItemStep,
        targets: Targets | None,
        device: torch.device,
    ) -> None:
        super().__init__(stored, places, step, targets)
        self.device, self.upload = device, Upload(device)
        self._items, self._item_masks = Buffers(), Buffers()
        self.resident: Tensor | None = None
        if keeps_size(stored, step) and stored.bytes <= RESIDENT_SHARE * free_bytes(device):
            self.resident = torch.from_numpy(np.asarray(stored.pixels)).to(device)

    def prepare(
        self, places: Sequence[int], seed: int, transforms: list[Any], own: slice | None = None
    ) -> Work:
        steps = BatchSteps.of(transforms)
        where = self.places[np.asarray(places, dtype=np.int64)]
        cuts = self.cuts(where, seed)
        geometry = None
        if steps.geometric:
            with seeded(seed + 1):
                geometry = draw_geometry(list(steps.geometric), len(where), self.step.size)
        targets = None if self.targets is None else self.targets.take(places)
        if isinstance(targets, TensorPoint) and geometry is not None:
            targets = moved_points(targets, geometry, self.step.size, steps.reflects_pixels)
        if own is not None:
            where, cuts = where[own], cuts[own]
            geometry = None if geometry is None else geometry.rows(own)
            targets = None if targets is None else targets[own]
        return lambda: self._moved(where, cuts, geometry, steps, targets)

    def rest(self, transforms: list[Any]) -> list[Any]:
        steps = BatchSteps.of(transforms)
        values = [each for each in steps.pointwise if not isinstance(each, IntToFloatTensor)]
        return [*values, *steps.rest]

    def _moved(
        self,
        where: np.ndarray,
        cuts: list[Cut],
        geometry: Geometry | None,
        steps: BatchSteps,
        targets: Tensor | None,
    ) -> Batch:
        """Bytes on the device, and what is to be done with them there."""
        masks = None
        if self.resident is not None:
            images: Any = self.upload(self._first_pixels(where, cuts))
        else:
            images = self.upload(self._cut_out(where.tolist(), cuts, False))
        if targets is None:
            masks = self.upload(self._cut_out(where.tolist(), cuts, True))
        matrices = (
            None if geometry is None else unit_matrices(geometry, self.step.size, steps.reflects_pixels)
        )
        moved = None if matrices is None else self.upload(matrices)
        y = masks if targets is None else self.upload(targets.as_subclass(Tensor)).as_subclass(type(targets))
        return images, y, moved, None if geometry is None else geometry.size, steps

    def finish(self, batch: Batch, device: Any) -> Batch:
        images, y, matrices, size, steps = batch
        for tensor in (images, y, matrices):
            if tensor is not None:
                self.upload.hand_over(tensor)
        if self.resident is not None:
            images = gathered(self.resident, images, self.step.size, self.stored.channels)
        x = images.permute(0, 3, 1, 2).float().div_(255)
        if matrices is not None:
            x = sampled(x, matrices, size, steps, "bilinear")
        if self.targets is None:
            if matrices is not None:
                y = sampled(y[:, None].float(), matrices, size, steps, "nearest")[:, 0]
            y = TensorMask(y.long())
        return as_images(x.contiguous(memory_format=torch.channels_last), self.stored), y

    def _cut_out(self, where: list[int], cuts: list[Cut], masks: bool) -> Tensor:
        """The items of a batch, put side by side."""
        channels = () if masks else (self.stored.channels,)
        buffers = self._item_masks if masks else self._items
        out, items = buffers.take((len(where), *self.step.size, *channels), np.uint8)
        padding = self.step.padding
        warp = Warp(self.step.size, self.step.size, padding, padding)

        for number, (place, cut) in enumerate(zip(where, cuts)):
            image = self.stored.mask(place) if masks else self.stored.image(place)
            out[number] = warp(image, cut, None, nearest=masks).reshape(out.shape[1:])
        return items

    def _first_pixels(self, where: np.ndarray, cuts: list[Cut]) -> Tensor:
        """Of each item the number of its first pixel among all pixels, and its image's width."""
        index = self.stored.index[where]
        corners = np.array([(cut.top, cut.left) for cut in cuts])
        first = index[:, OFFSET] // self.stored.channels + corners[:, 0] * index[:, WIDTH] + corners[:, 1]
        return torch.from_numpy(np.stack([first, index[:, WIDTH]], axis=1))


def keeps_size(stored: Stored, step: ItemStep) -> bool:
    """Whether items are always parts of the kept images, pixel for pixel."""
    if step.form.method == "pad" or type(step.transform).__name__ != "Resize":
        return False
    sizes = stored.index[:, 1:3]
    short_enough = (sizes >= np.array(step.size)).all()
    return bool(short_enough)


def free_bytes(device: torch.device) -> int:
    """The free memory of a GPU; 0 for other devices."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def gathered(pixels: Tensor, first: Tensor, size: tuple[int, int], channels: int) -> Tensor:
    """Items out of a long row of pixels: bytes, images x height x width x channels.

    Args:
        pixels: all bytes.
        first: of each item its first pixel, and the width of its image.
        size: height and width of the items.
        channels: bytes a pixel.
    """
    rows = torch.arange(size[0], device=pixels.device)[:, None]
    columns = torch.arange(size[1], device=pixels.device)
    start, width = first[:, 0, None, None], first[:, 1, None, None]
    return pixels.view(-1, channels)[start + rows * width + columns]


def sampled(images: Tensor, matrices: Tensor, size: tuple[int, int], steps: BatchSteps, mode: str) -> Tensor:
    """Images warped by `matrices`, between coordinates of -1 to 1 over output and image.

    Args:
        images: floats, images x channels x height x width.
        matrices: homogeneous, images x 3 x 3.
        size: height and width of the output.
        steps: say what lies beyond the edges.
        mode: of torch's `grid_sample`.
    """
    corners = steps.reflects_pixels
    if mode == "bilinear":  # as fastai: what is much larger than the output is averaged first
        coarse = min(images.shape[-2] / size[0], images.shape[-1] / size[1]) / 2
        if coarse > 1:
            images = functional.interpolate(
                images, scale_factor=1 / coarse, mode="area", recompute_scale_factor=True
            )
    same = torch.eye(3, device=images.device)[None, :2]
    grid = functional.affine_grid(same, [1, 1, *size], align_corners=corners)[0]
    whole = torch.cat([grid, torch.ones_like(grid[..., :1])], dim=-1).reshape(-1, 3)
    there = whole @ matrices.transpose(1, 2)
    places = (there[..., :2] / there[..., 2:]).reshape(len(images), *size, 2)
    return functional.grid_sample(
        images, places, mode=mode, padding_mode=steps.pad_mode, align_corners=corners
    )
