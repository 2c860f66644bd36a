"""Batches of the cache's images: of training, with fresh random numbers, and of validation, as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from fastai.data.transforms import IntToFloatTensor
from fastai.torch_core import to_device
from fastai.vision.core import TensorImage, TensorImageBW, TensorMask, TensorPoint
from torch import Tensor

from visionkit.cache.stored import FULL_HEIGHT, FULL_WIDTH, HEIGHT, WIDTH, Stored
from visionkit.loading.borders import border
from visionkit.loading.buffers import Buffers
from visionkit.loading.drawing import BatchSteps, Drawn
from visionkit.loading.geometry import moved_points
from visionkit.loading.items import Cut, ItemStep
from visionkit.loading.seeding import seeded
from visionkit.loading.targets import Targets
from visionkit.loading.warping import Warp, light

Batch = tuple[Any, ...]
Work = Callable[[], Batch]
"""Makes a batch, in any thread; all that is random in it was drawn before."""


class Feed(Protocol):
    """Gives the batches of one part of a data set."""

    def prepare(
        self, places: Sequence[int], seed: int, transforms: list[Any], own: slice | None = None
    ) -> Work:
        """The work that makes the batch of the items at `places`.

        Args:
            places: of the items, in the loader's data set.
            seed: of all that is random, which is drawn now.
            transforms: the loader's batch transforms.
            own: the part of the batch that is made; all numbers are drawn, as for the whole. None makes it
                whole.
        """

    def finish(self, batch: Batch, device: Any) -> Batch:
        """The batch on `device`; called in the order of batches, by whoever asks for them."""

    def rest(self, transforms: list[Any]) -> list[Any]:
        """Those of the batch transforms that the batches have not been through."""


class TrainingFeed:
    """Random parts of the images, warped and lit.

    Args:
        stored: images of the data set, kept in the form of `step`.
        places: of the loader's items among them.
        step: which part of an image is an item.
        targets: of the loader's items; None where they are masks.
    """

    def __init__(self, stored: Stored, places: np.ndarray, step: ItemStep, targets: Targets | None) -> None:
        self.stored, self.places, self.step, self.targets = stored, places, step, targets
        self._buffers, self._mask_buffers = Buffers(), Buffers()

    def prepare(
        self, places: Sequence[int], seed: int, transforms: list[Any], own: slice | None = None
    ) -> Work:
        steps = BatchSteps.of(transforms)
        where = self.places[np.asarray(places, dtype=np.int64)]
        cuts = self.cuts(where, seed)
        drawn = steps.draw(seed + 1, len(where), self.step.size)
        targets = None if self.targets is None else self.targets.take(places)
        if isinstance(targets, TensorPoint) and drawn.geometry is not None:
            targets = moved_points(targets, drawn.geometry, self.step.size, steps.reflects_pixels)
        if own is not None:
            where, cuts, drawn = where[own], cuts[own], drawn.rows(own)
            targets = None if targets is None else targets[own]
        return lambda: self._made(where.tolist(), cuts, drawn, steps, targets)

    def cuts(self, where: np.ndarray, seed: int) -> list[Cut]:
        """The parts of the images at `where` that are items this time."""
        index = self.stored.index[where]
        with seeded(seed):
            return self.step.draw(index[:, [HEIGHT, WIDTH]], index[:, [FULL_HEIGHT, FULL_WIDTH]])

    def finish(self, batch: Batch, device: Any) -> Batch:
        return to_device(batch, device)

    def rest(self, transforms: list[Any]) -> list[Any]:
        return list(BatchSteps.of(transforms).rest)

    def _made(
        self,
        where: list[int],
        cuts: list[Cut],
        drawn: Drawn,
        steps: BatchSteps,
        targets: Tensor | None,
    ) -> Batch:
        size = self.step.size if drawn.geometry is None else drawn.geometry.size
        padding = self.step.padding
        warp = Warp(self.step.size, size, border(steps.pad_mode, steps.reflects_pixels), padding)
        channels = max(self.stored.channels, drawn.levels.shape[-1])
        out, images = self._buffers.take((len(where), *size, channels), np.float32)
        mask_out, masks = None, None
        if targets is None:
            mask_out, masks = self._mask_buffers.take((len(where), *size), np.uint8)

        for number, (place, cut) in enumerate(zip(where, cuts)):
            matrix = None if drawn.geometry is None else drawn.geometry.matrices[number]
            light(warp(self.stored.image(place), cut, matrix), drawn.levels[number], out[number])
            if mask_out is not None:
                mask_out[number] = warp(self.stored.mask(place), cut, matrix, nearest=True)
        x = as_images(images.permute(0, 3, 1, 2), self.stored)  # channels innermost: convolutions like it
        return x, (targets if masks is None else TensorMask(masks.long()))


class ValidationFeed:
    """The very items of the validation, as fastai's transforms made them when they were stored.

    Args:
        stored: bytes of the items, or floats that have been through the batch transforms up to normalisation.
        places: of the loader's items among them.
        targets: of the loader's items; None where they are masks.
    """

    def __init__(self, stored: Stored, places: np.ndarray, targets: Targets | None) -> None:
        self.stored, self.places, self.targets = stored, places, targets

    def prepare(
        self, places: Sequence[int], seed: int, transforms: list[Any], own: slice | None = None
    ) -> Work:
        places = places if own is None else places[own]
        where = self.places[np.asarray(places, dtype=np.int64)].tolist()
        targets = None if self.targets is None else self.targets.take(places)
        return lambda: self._made(where, targets)

    def finish(self, batch: Batch, device: Any) -> Batch:
        return to_device(batch, device)

    def rest(self, transforms: list[Any]) -> list[Any]:
        done: tuple[Any, ...] = BatchSteps.of(transforms).geometric  # made when stored, or without effect
        if self.stored.pixels.dtype != np.uint8:
            done += tuple(each for each in transforms if isinstance(each, IntToFloatTensor))
        return [each for each in transforms if each not in done]

    def _made(self, where: list[int], targets: Tensor | None) -> Batch:
        images = torch.from_numpy(np.stack([self.stored.image(place) for place in where]))
        x = as_images(images.permute(0, 3, 1, 2), self.stored)
        if targets is not None:
            return x, targets
        masks = torch.from_numpy(np.stack([self.stored.mask(place) for place in where]))
        return x, TensorMask(masks.long())


def as_images(values: Tensor, stored: Stored) -> TensorImage:
    """`values` as fastai's type for such images: those kept in shades of grey have one of their own."""
    return TensorImageBW(values) if stored.channels == 1 else TensorImage(values)
