"""Where the time of a training goes: each part by itself, one after the other, in seconds an image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.data.core import Pipeline
from fastai.torch_core import to_device
from torch import Tensor

from visionkit.benchmark.gpu import synchronise
from visionkit.benchmark.pace import FEWEST, fit, one_batch
from visionkit.benchmark.sides import Side
from visionkit.loading.planning import SizePlan, make_kept
from visionkit.loading.uploading import Upload

LOADING = ("decode", "augment", "copy")
STEP = ("forward", "backward", "optimiser", "other")
PARTS = LOADING + STEP
MOST_DECODED = 64
"""Images that are decoded to see how long that takes."""


class Parts:
    """Seconds that parts take. The device is waited for at the end of each, so that its work is in them.

    Args:
        names: of the parts.
        device: that computes.
        seconds: that are measured at least.
        warm_up: batches that do not count.
    """

    def __init__(
        self, names: tuple[str, ...], device: torch.device, seconds: float, warm_up: int = 1
    ) -> None:
        self.device, self.wanted, self.warm_up = device, seconds, warm_up
        self.spent = dict.fromkeys(names, 0.0)
        self.batches = self.images = 0
        self._since = time.perf_counter()

    def start(self) -> None:
        """A part begins."""
        synchronise(self.device)
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        """The part of this name is over, and the next one begins."""
        before = self._since
        self.start()
        self.spent[name] += self._since - before

    def batch(self, images: int) -> bool:
        """A batch of so many images is done; whether the time is up."""
        self.batches += 1
        if self.batches <= self.warm_up:
            self.spent = dict.fromkeys(self.spent, 0.0)
            return False
        self.images += images
        return self.batches >= self.warm_up + FEWEST and sum(self.spent.values()) >= self.wanted

    def each(self) -> dict[str, float]:
        """Seconds an image."""
        return {name: seconds / max(self.images, 1) for name, seconds in self.spent.items()}


def loading_parts(side: Side, seconds: float) -> dict[str, float]:
    """What it takes to make the training's batches: to decode images, to cut and augment them, and to copy
    batches to the device.

    All is done here, in one thread, as it otherwise is in many.
    """
    loader = side.learn.dls.train
    parts = Parts(LOADING, side.device, seconds)
    make = _from_cache if side.cached else _from_files
    loader.before_iter()
    while True:
        for places in _batches(list(loader.get_idxs()), loader.bs):
            parts.start()
            make(loader, places, parts)
            if parts.batch(len(places)):
                return parts.each()


def _from_cache(loader: Any, places: list[int], parts: Parts) -> None:
    feed, transforms, device = loader.feed, list(loader.after_batch.fs), loader.device
    upload = getattr(feed, "upload", None)
    if upload is not None:  # bytes are moved first, and augmented where they are
        feed.upload = _TimedUpload(upload, parts)
    try:
        batch = feed.prepare(places, loader.rng.getrandbits(48), transforms)()
        parts.end("augment")
        if device is not None:
            batch = feed.finish(batch, device)
        parts.end("copy" if upload is None else "augment")
    finally:
        if upload is not None:
            feed.upload = upload
    Pipeline(feed.rest(transforms), split_idx=loader.after_batch.split_idx)(batch)
    parts.end("augment")


class _TimedUpload:
    """In the place of a feed's `Upload`: moves tensors as that does, and tells how long it takes."""

    def __init__(self, upload: Upload, parts: Parts) -> None:
        self.upload, self.parts = upload, parts
        self.hand_over = upload.hand_over

    def __call__(self, tensor: Tensor) -> Tensor:
        self.parts.end("augment")
        moved = self.upload(tensor)
        self.parts.end("copy")
        return moved


def _from_files(loader: Any, places: list[int], parts: Parts) -> None:
    decoded = [loader.create_item(place) for place in places]
    parts.end("decode")
    batch = loader.do_batch([loader.after_item(item) for item in decoded])
    parts.end("augment")
    if loader.device is not None:
        batch = to_device(batch, loader.device)
    parts.end("copy")
    loader.after_batch(batch)
    parts.end("augment")


def _batches(places: list[int], size: int) -> Iterator[list[int]]:
    """All whole batches."""
    return (places[start : start + size] for start in range(0, len(places) - size + 1, size))


def decoding_once(side: Side, seconds: float) -> float | None:
    """Seconds an image that filling the cache for training took, in one thread; None without a cache."""
    if not side.cached:
        return None
    dataset = replace(side.dataset, settings=side.dataset.settings.replaced(cache="off"))
    plan = SizePlan(dataset, dataset.dataloaders(side.stage.size, side.device, fill=False))
    step = max(1, len(dataset.train) // MOST_DECODED)
    started, done = time.perf_counter(), 0
    for number in dataset.train[::step][:MOST_DECODED]:
        make_kept([plan], number, [plan.training.key])
        done += 1
        if time.perf_counter() - started >= seconds:
            break
    return (time.perf_counter() - started) / done


def step_parts(side: Side, seconds: float) -> dict[str, float]:
    """What the parts of a training step take, on a batch that is in memory.

    The loss is part of `forward`; `other` is what fastai and callbacks do between two steps.
    """
    parts = Parts(STEP, side.device, seconds, FEWEST)
    fit(side, one_batch(side), [_Edges(parts), _Ends(parts)])
    return parts.each()


class _Edges(Callback):
    """Before all other callbacks: where a batch begins, and where its step is over."""

    order = -1000

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def before_batch(self) -> None:
        self.parts.end("other")

    def after_batch(self) -> None:
        self.parts.end("optimiser")
        if self.parts.batch(len(self.xb[0])):
            raise CancelFitException


class _Ends(Callback):
    """After all other callbacks: where the parts of a step are over."""

    order = 1000

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def after_loss(self) -> None:
        self.parts.end("forward")

    def after_backward(self) -> None:
        self.parts.end("backward")
