"""Small data sets and their caches, for tests of the cache."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visionkit.cache.building import CacheFolder, Wanted, build
from visionkit.cache.stored import Kept, Stored
from visionkit.data.dataset import Dataset
from visionkit.progress import Advance, Silence, Unit
from visionkit.registry import get_recipe
from visionkit.sources.base import Store

KEY = "0123456789abcdef01234567"
OTHER = "f" * 24
ABOUT = {"kind": "training", "recipe": "pets", "data": "/data/pets", "size": "8x8"}


class Heard(Silence):
    """Remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def track(self, label: str, total: int | None, unit: Unit) -> AbstractContextManager[Advance]:
        self.notes.append(label)
        return super().track(label, total, unit)


def kept(number: int, masks: bool = False, channels: int = 3) -> Kept:
    """An image of 8 + number by 8 px."""
    pixels = np.full((8, 8 + number, channels), number % 256, np.uint8)
    return Kept(pixels, pixels[..., 0].copy() if masks else None, (16 + 2 * number, 16))


def make(number: int, keys: Sequence[str]) -> dict[str, Kept]:
    return {key: kept(number) for key in keys}


def built(folder: Path, key: str = KEY, images: int = 5, **about: Any) -> Stored:
    """A cache of drawn images."""
    wanted = [Wanted(key, range(images), {**ABOUT, **about})]
    return build(CacheFolder(folder), wanted, make, 2, Silence())[key]


def opened(name: str, folder: Path, store: Store | None, /, **options: Any) -> Dataset:
    """A recipe's data set in `folder`, checked."""
    recipe = get_recipe(name)
    settings = recipe.resolved(**{"bs": 4, "workers": 0, "device": "cpu", **options})
    return Dataset.open(recipe, settings, folder, store)


def loaders(dataset: Dataset, size: int = 32) -> Any:
    return dataset.dataloaders(size, torch.device("cpu"))


def caches(store: Store) -> set[str]:
    """The names of the caches that are there."""
    return {each.name for each in store.cache_folder.glob("[!.]*")}
