"""How many images a loader, a training step, and both together see to in a second."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)

from visionkit.benchmark.gpu import Utilisation, synchronise
from visionkit.benchmark.sides import Side
from visionkit.training.waiting import Waiting

FEWEST = 2
"""Batches that warm up, and that are timed, at least, however long they take."""
RATE = 1e-6
"""Learning rate: weights stay about what they are, since those that run away or die out compute at another
speed."""


@dataclass(frozen=True)
class Pace:
    """Images that were seen to, in how many seconds, of which so many were spent waiting for data."""

    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def __add__(self, other: Pace) -> Pace:
        return Pace(self.images + other.images, self.seconds + other.seconds, self.waited + other.waited)

    @property
    def images_per_s(self) -> float:
        return self.images / max(self.seconds, 1e-9)

    @property
    def wait_percent(self) -> float:
        """The share of the time in which a step waited for its batch."""
        return 100 * self.waited / max(self.seconds, 1e-9)


class Stopwatch:
    """Counts images and time once the warm-up is over, until the time is up.

    Args:
        device: waited for at the start and at the end.
        seconds: that are measured at least.
        warm_up: batches that do not count; fewer, two at least, where these take longer than `seconds`.
    """

    def __init__(self, device: torch.device, seconds: float, warm_up: int) -> None:
        self.device, self.wanted, self.warm_up = device, seconds, warm_up
        self.runs = False
        """Whether the warm-up is over."""
        self.batches = self.images = 0
        self.seconds = 0.0
        self._since = time.perf_counter()

    def batch(self, images: int) -> bool:
        """A batch of so many images is done; whether the time is up."""
        self.batches += 1
        passed = time.perf_counter() - self._since
        if not self.runs:
            if self.batches >= self.warm_up or (self.batches >= FEWEST and passed >= self.wanted):
                synchronise(self.device)
                self.runs, self.batches, self._since = True, 0, time.perf_counter()
            return False
        self.images += images
        if self.batches < FEWEST or passed < self.wanted:
            return False
        synchronise(self.device)
        self.seconds = time.perf_counter() - self._since
        return True


class Endless:
    """Batches without end, for a Learner to train on in a single epoch.

    Args:
        loader: in whose place this stands; for all else it is asked.
        batches: what comes again and again: the loader's epochs where None.
    """

    def __init__(self, loader: Any, batches: Iterable[Any] | None = None) -> None:
        self.loader, self.batches = loader, loader if batches is None else batches

    def __iter__(self) -> Generator[Any, None, None]:
        while True:
            yield from self.batches

    def __len__(self) -> int:
        return 10**9

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class Timing(Callback):
    """Ends the training when the stopwatch says so; counts the wait for data meanwhile."""

    order = 1000  # when all others are done with a batch

    def __init__(self, watch: Stopwatch, waiting: Waiting) -> None:
        self.watch, self.waiting = watch, waiting

    def after_batch(self) -> None:
        if self.watch.batch(len(self.xb[0])):
            raise CancelFitException
        if self.watch.batches == 0:  # the warm-up is over
            self.waiting.seconds = 0.0
        self.waiting.batch_ended()


def loader_pace(side: Side, seconds: float) -> Pace:
    """Batches are taken from the loader as fast as it gives them; nothing is done with them."""
    watch = Stopwatch(side.device, seconds, side.warm_up)
    with closing(iter(Endless(side.learn.dls.train))) as batches:
        for batch in batches:
            if watch.batch(len(batch[0])):
                break
    return Pace(watch.images, watch.seconds)


def step_pace(side: Side, seconds: float) -> Pace:
    """Training steps on one batch that is in memory, again and again."""
    watch, waiting = Stopwatch(side.device, seconds, side.warm_up), Waiting()
    fit(side, one_batch(side), [Timing(watch, waiting), waiting])
    return Pace(watch.images, watch.seconds)


def together_pace(side: Side, seconds: float) -> tuple[Pace, float | None]:
    """A training as it is, validation left out; besides, how busy the GPU was, in percent."""
    watch, waiting = Stopwatch(side.device, seconds, side.warm_up), Waiting()
    with Utilisation(side.device, lambda: watch.runs) as utilisation:
        fit(side, Endless(side.learn.dls.train), [Timing(watch, waiting), waiting])
    return Pace(watch.images, watch.seconds, waiting.seconds), utilisation.percent


def one_batch(side: Side) -> Endless:
    """One batch of the side's loader, on its device, without end."""
    loader = side.learn.dls.train
    return Endless(loader, [loader.one_batch()])


def fit(side: Side, batches: Endless, callbacks: Sequence[Callback]) -> None:
    """Train on `batches` until a callback ends it. The Learner's own DataLoaders are back afterwards."""
    learn, dls = side.learn, side.learn.dls
    learn.dls = copy(dls)
    learn.dls.loaders = [batches, dls.valid]
    try:
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, RATE, cbs=list(callbacks))
    finally:
        learn.dls = dls
