"""Loaders over the cache, and beside them those without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.data.dataset import Dataset
from visionkit.loading.loader import CachedLoading
from visionkit.progress import Silence
from visionkit.recipe import Recipe
from visionkit.registry import get_recipe
from visionkit.settings import TrainSettings
from visionkit.sources.base import Store


def pair(
    recipe: str | Recipe, folder: Path, store: Path, size: int = 32, /, **options: Any
) -> tuple[Any, Any]:
    """The loaders of a recipe on the CPU: over the cache, and without it."""
    found = get_recipe(recipe) if isinstance(recipe, str) else recipe
    own = {"bs": 4, "workers": 0, "device": "cpu", **options}
    made = []
    for cache in ("auto", "off"):
        dataset = Dataset.open(
            found, found.resolved(**own, size=size, cache=cache), folder, Store(store, Silence())
        )
        made.append(dataset.dataloaders(size, torch.device("cpu")))
    assert all(isinstance(loader, CachedLoading) for loader in made[0].loaders)
    assert not any(isinstance(loader, CachedLoading) for loader in made[1].loaders)
    return made[0], made[1]


def recipe_of(datablock: Callable[[Path, Any], Any], task: Any = "single-label") -> Recipe:
    """A recipe around a DataBlock."""
    return Recipe(
        name="drawn",
        task=task,
        dataset="drawn",
        licence="",
        headline="",
        source=None,
        datablock=datablock,
        settings=TrainSettings,
    )


def assert_same_batches(cached: Any, stock: Any, tolerance: float = 0.0) -> None:
    """Both loaders give the same batches, of the same types."""
    one, other = list(cached), list(stock)
    assert len(one) == len(other) > 0
    for batch, wanted in zip(one, other):
        assert len(batch) == len(wanted)
        for part, like in zip(batch, wanted):
            assert type(part) is type(like)
            assert part.dtype == like.dtype and part.shape == like.shape
            found, expected = part.as_subclass(Tensor), like.as_subclass(Tensor)
            torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
