"""`--dry-run`: what a training would do, and about how long it would take, without training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from fastai.learner import Learner
from fastai.torch_core import set_seed

from visionkit.data.dataset import Dataset
from visionkit.devices import usable_cores
from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.sources import locate
from visionkit.sources.base import Source, Store
from visionkit.sources.names import is_source_name, named_source
from visionkit.training.announcing import announcement, stage_line
from visionkit.training.batch_size import Trial
from visionkit.training.data_faults import is_cached
from visionkit.training.hardware import (
    device_name,
    resolve_precision,
    resolve_workers,
    shared_cores,
    tuned,
)
from visionkit.training.learner import build_learner
from visionkit.training.refusing import checked_device
from visionkit.training.snapshot import Snapshot
from visionkit.training.stage_training import switch_size
from visionkit.training.stages import Stage, plan_stages

STEPS = 3
"""That are timed, after one that is not."""
DECODED = 16
"""Images whose loading is timed."""


@dataclass(frozen=True)
class StageTime:
    """A stage, and about how many seconds one of its epochs takes; validation is part of it."""

    stage: Stage
    epoch_seconds: float
    images_per_s: float

    @property
    def seconds(self) -> float:
        return self.stage.epochs * self.epoch_seconds


@dataclass(frozen=True)
class Rehearsal:
    """What would happen.

    Args:
        text: what the training would say before it starts.
        times: of the stages; none where the data would have to be fetched first.
        first_pass: seconds in which all images are looked at and decoded, before the first epoch.
    """

    text: str
    times: list[StageTime]
    first_pass: float = 0.0

    @property
    def seconds(self) -> float:
        """Of everything, about."""
        return self.first_pass + sum(each.seconds for each in self.times)


def rehearse(
    recipe: Recipe,
    settings: TrainSettings,
    *,
    data: Path | str | None = None,
    sample: bool = False,
    store: Store | None = None,
) -> Rehearsal:
    """Say what a training of `recipe` would do, and time a few of its steps at each size.

    Nothing is trained or fetched, and no run is made; the sample is drawn where it is asked for, and what was
    seen of the images is remembered as ever. The network starts from random weights: it is as fast. Times are
    estimates: others may use the machine later, and a network may run out of memory.

    Args:
        recipe: what would be trained.
        settings: how; see `TrainSettings`.
        data: the data set's folder, or the name of a source; the recipe's own source where None.
        sample: take the recipe's synthetic sample.
        store: where data sets lie; `~/.visionkit` where None.

    Raises:
        UsageError: a setting that cannot be.
        DataError: something is wrong with the data set.
    """
    device = checked_device(settings)
    store = store or Store()
    sourced = recipe.sourced(settings)
    if (missing := _not_there(sourced, data, sample, store)) is not None:
        return Rehearsal(_fetching(recipe, settings, missing, store), [])
    place = locate(sourced, data, sample, settings.seed, store)
    dataset = Dataset.open(recipe, settings, place.folder, store)
    set_seed(settings.seed)
    loading = resolve_workers("auto", device)
    with shared_cores(device, loading if settings.cache == "off" else 0), tuned(device):
        dls = dataset.dataloaders(settings.size, device, fill=False)
        learn = build_learner(dataset.recipe, dls, settings, quiet=True, random_weights=True)
        learn.starts_pretrained = settings.pretrained or settings.weights is not None
        stages = plan_stages(settings, learn.starts_pretrained)
        precision = resolve_precision(settings.precision, device)
        text = announcement(dataset, stages, learn, device_name(device), precision, None)
        each = 0.0 if is_cached(dls) else _loading_seconds(dataset)
        once = settings.cache != "off"
        times = [_timed(learn, dataset, stage, 0.0 if once else each / max(1, loading)) for stage in stages]
    return Rehearsal(text, times, each * len(dataset.images) / usable_cores() if once else 0.0)


def _not_there(recipe: Recipe, data: Path | str | None, sample: bool, store: Store) -> Source | None:
    """The source that would have to be fetched; None where the data are on the disk."""
    if sample:
        return None
    source = recipe.source if data is None else None
    if data is not None and is_source_name(str(data)):
        source = named_source(str(data))
    return None if source is None or source.is_there(store.root) else source


def _fetching(recipe: Recipe, settings: TrainSettings, source: Source, store: Store) -> str:
    stages = plan_stages(settings, settings.pretrained or settings.weights is not None)
    lines = [
        ("recipe", f"{recipe.name}: {recipe.task}, {recipe.dataset}"),
        ("data", f"would be fetched: {source.name} ({source.url}) into {source.folder(store.root)}"),
        ("network", settings.arch),
        *((f"stage {stage.number}", stage_line(stage)) for stage in stages),
    ]
    return "\n".join(f"{name:10s} {value}" for name, value in lines)


def _loading_seconds(dataset: Dataset) -> float:
    """Seconds of a core for one image from its file, without augmentation of batches."""
    plain = replace(dataset, settings=dataset.settings.replaced(cache="off", workers=0))
    loader = plain.dataloaders(dataset.settings.size, fill=False).train
    places = range(min(DECODED, len(dataset.train)))
    started = time.perf_counter()
    for place in places:
        loader.do_item(place)
    return (time.perf_counter() - started) / max(1, len(places))


def _timed(learn: Learner, dataset: Dataset, stage: Stage, loading: float) -> StageTime:
    """Time a few steps of `stage`; weights and random states are afterwards what they were."""
    switch_size(learn, dataset, stage.size)
    if stage.frozen:
        learn.freeze()
    else:
        learn.unfreeze()
    before = Snapshot(learn)
    try:
        trial = Trial(learn)
        size = min(learn.dls.train.bs, len(dataset.train))
        step = _mean_seconds(lambda: trial.step(size), learn.dls.device)
        with torch.no_grad():
            learn.model.eval()
            forward = _mean_seconds(lambda: trial.loss(size), learn.dls.device)
    finally:
        before.restore()
    image = max(step / size, loading)
    epoch = len(dataset.train) * image + len(dataset.valid) * max(forward / size, loading)
    return StageTime(stage, epoch, 1 / max(image, 1e-9))


def _mean_seconds(work: Callable[[], object], device: torch.device) -> float:
    work()
    _wait(device)
    started = time.perf_counter()
    for _ in range(STEPS):
        work()
    _wait(device)
    return (time.perf_counter() - started) / STEPS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
