"""Loaders of numbers: fastai's with random numbers of their own, and over a cache that holds none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fastai.data.core import TfmdDL
from fastai.data.transforms import Transform
from torch import Tensor

from visionkit.loading.ahead import Makers
from visionkit.loading.batches import Batch, Work
from visionkit.loading.loader import over_cache
from visionkit.loading.seeded import seeded_loader
from visionkit.loading.seeding import seeded
from visionkit.training.sampling import OwnWeightedDL


class Numbers:
    """0, 1, 2 …, each with what Python, NumPy and torch draw for it; remembers which were asked for."""

    split_idx = 0

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        self.asked.append(place)
        drawn = random.random(), np.random.rand(), torch.rand(()).item()
        return torch.tensor(drawn, dtype=torch.float64), torch.tensor(place)


class Noise(Transform):
    """Random numbers that are added to whole batches."""

    split_idx = None

    def encodes(self, values: Tensor) -> Tensor:
        return values + torch.rand(()) + random.random() if values.is_floating_point() else values


class NumbersFeed:
    """The numbers themselves, with what is drawn from the seed; remembers which were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def prepare(
        self, places: Sequence[int], seed: int, transforms: list[Any], own: slice | None = None
    ) -> Work:
        self.asked += places
        own = own or slice(None)
        with seeded(seed):
            drawn = torch.rand(len(places), 3, dtype=torch.float64)
        return lambda: (drawn[own], torch.tensor(places)[own])

    def finish(self, batch: Batch, device: Any) -> Batch:
        return batch

    def rest(self, transforms: list[Any]) -> list[Any]:
        return transforms


def uncached(count: int, seed: int, *, workers: int = 0, weighted: bool = False, **options: Any) -> Any:
    """A loader of `count` numbers with random numbers of its own."""
    kind: Any = OwnWeightedDL if weighted else TfmdDL
    if weighted:
        options["wgts"] = np.arange(1, count + 1)
    loader = seeded_loader(kind(Numbers(count), num_workers=workers, after_batch=[Noise()], **options))
    loader.rng = random.Random(seed)
    return loader


def cached(count: int, seed: int, *, workers: int = 0, **options: Any) -> Any:
    """The same over a cache, with `workers` threads."""
    loader = over_cache(uncached(count, seed, **options), NumbersFeed(), Makers(workers))
    return loader


KINDS = {"uncached": uncached, "cached": cached}


def epoch(loader: Any) -> list[list[Any]]:
    """All batches as lists."""
    return [batch_list(batch) for batch in loader]


def batch_list(batch: Batch) -> list[Any]:
    """A batch as lists."""
    return [part.tolist() for part in batch]


def global_states() -> list[str]:
    """Python's, NumPy's and torch's random states, to be compared."""
    return [
        str(random.getstate()),
        str(np.random.get_state()[1].tolist()),
        str(torch.get_rng_state().tolist()),
    ]
