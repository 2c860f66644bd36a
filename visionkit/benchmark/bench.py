"""The benchmark of a recipe, all in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastai.torch_core import get_random_states, set_random_states, set_seed

from visionkit.benchmark.figures import Benchmark
from visionkit.benchmark.sides import Side, stock_side, visionkit_side
from visionkit.benchmark.turns import measure
from visionkit.data.dataset import Dataset
from visionkit.devices import usable_cores
from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.sources import locate
from visionkit.sources.base import Store
from visionkit.training.refusing import checked_device
from visionkit.versions import versions

SECONDS = 5.0
"""That each figure is measured for, where nobody says."""


def bench(
    recipe: Recipe,
    settings: TrainSettings,
    *,
    data: Path | str | None = None,
    sample: bool = False,
    seconds: float = SECONDS,
    against_stock: bool = False,
    store: Store | None = None,
) -> Benchmark:
    """Measure how fast `recipe` trains at its first size, and what limits it.

    No run is made. The cache is filled as for a training. All random states are afterwards what they were.

    Args:
        recipe: what would be trained.
        settings: how; see `TrainSettings`.
        data: the data set's folder, or the name of a source; without it the recipe's own source is fetched.
        sample: take the recipe's synthetic sample.
        seconds: that each figure is measured for at least, warm-up left out.
        against_stock: measure stock fastai too, taking turns.
        store: for fetched and drawn data sets, and the cache; `~/.visionkit` where None.

    Raises:
        UsageError: a setting that cannot be.
        DataError: something is wrong with the data set.
        VisionkitError: data that cannot be fetched, memory that runs out, or no compiler for `compile`.
    """
    device = checked_device(settings)
    store = store or Store()
    before = get_random_states()
    try:  # from the splitter on, which sets torch's
        place = locate(recipe.sourced(settings), data, sample, settings.seed, store)
        dataset = Dataset.open(recipe, settings, place.folder, store)
        set_seed(settings.seed)
        ours = visionkit_side(dataset, device)
        sides = (ours, stock_side(ours.dataset, device)) if against_stock else (ours,)
        found = measure(sides, seconds, store.progress.note)
    finally:
        set_random_states(**before)
    return Benchmark(_about(ours, seconds), found)


def _about(side: Side, seconds: float) -> dict[str, Any]:
    dataset = side.dataset
    return {
        "recipe": dataset.recipe.name,
        "data": str(dataset.path.resolve()),
        "synthetic": dataset.synthetic,
        "train": len(dataset.train),
        "arch": dataset.settings.arch,
        "size": side.stage.size,
        "stage": side.stage.name,
        "bs": side.learn.dls.train.bs,
        "seconds": seconds,
        "cores": usable_cores(),
        "versions": versions(),
    }
