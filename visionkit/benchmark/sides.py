"""What is measured: the recipe's training as visionkit does it, and as stock fastai would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from fastai.learner import Learner, defaults

from visionkit.data.dataset import Dataset
from visionkit.loading.ahead import SPARE
from visionkit.loading.loader import CachedLoading
from visionkit.models.architectures import find_architecture
from visionkit.models.weights import LoadReport, starting_state
from visionkit.tasks import get_task
from visionkit.training.batch_size import largest_batch
from visionkit.training.class_weights import class_weights
from visionkit.training.compiling import compiled
from visionkit.training.hardware import resolve_precision, resolve_workers, shared_cores, tuned
from visionkit.training.learner import build_learner, normalize, require_fit
from visionkit.training.mixing import mixing_callbacks
from visionkit.training.stage_training import switch_size
from visionkit.training.stages import Stage, plan_stages

SideName = Literal["visionkit", "stock"]


@dataclass(frozen=True)
class Side:
    """A Learner that is ready to train, and what holds while it is measured.

    Args:
        name: whose way it is.
        learn: frozen or not as the stage wants, with DataLoaders at its size.
        dataset: that the loaders are of.
        stage: that is measured.
        precision: number format of the step.
        workers: processes, or threads of the cache's loader, that make batches.
    """

    name: SideName
    learn: Learner
    dataset: Dataset
    stage: Stage
    precision: str
    workers: int

    @property
    def title(self) -> str:
        """Its name for people."""
        return "stock fastai" if self.name == "stock" else self.name

    @property
    def device(self) -> torch.device:
        device: torch.device = self.learn.dls.device
        return device

    @property
    def cached(self) -> bool:
        """Whether batches come from the cache of decoded images."""
        return isinstance(self.learn.dls.train, CachedLoading)

    @property
    def warm_up(self) -> int:
        """Batches at the start of a measurement that do not count: all that loaders make ahead, at least."""
        return self.workers + SPARE + 1

    @contextmanager
    def conditions(self) -> Iterator[None]:
        """What a training sets for its duration; stock fastai sets nothing."""
        if self.name == "stock":
            yield
            return
        loading = 0 if self.cached else resolve_workers("auto", self.device)
        with shared_cores(self.device, loading), tuned(self.device):
            yield

    def compiled(self) -> Any:
        """A context with the network compiled, where the settings want that."""
        if self.name == "stock":
            return nullcontext()
        return compiled(self.learn.model, self.dataset.settings.compile)


def measured_stage(dataset: Dataset) -> Stage:
    """The last stage at the first size: that of the whole network, unless only the head is trained.

    Raises:
        UsageError: there is no epoch to train.
    """
    settings = dataset.settings
    stages = plan_stages(settings, settings.pretrained or settings.weights is not None)
    return [stage for stage in stages if stage.size == stages[0].size][-1]


def visionkit_side(dataset: Dataset, device: torch.device) -> Side:
    """The recipe's Learner as a training builds it, over the cache.

    Weights are loaded from a file that the settings name, and not downloaded: they play no part in how
    fast a step is. With `bs` "auto" the largest batch that fits is found.

    Raises:
        UsageError: settings that cannot be.
        DataError: an image or a mask cannot be used.
        VisionkitError: not even a batch of two fits into memory.
    """
    stage, settings = measured_stage(dataset), dataset.settings
    dataset.fill_cache([stage.size])
    dls = dataset.dataloaders(stage.size, device, fill=False)
    learn = build_learner(dataset.recipe, dls, settings, random_weights=settings.weights is None, quiet=True)
    _freeze(learn, stage)
    side = Side(
        "visionkit",
        learn,
        dataset,
        stage,
        resolve_precision(settings.precision, device),
        dls.train.fake_l.num_workers,
    )
    if settings.bs != "auto":
        return side
    with side.conditions():
        found = largest_batch(learn, len(dataset.train))
    if dataset.store is not None:
        dataset.store.progress.note(f"bs auto    {found}")
    sized = replace(dataset, settings=settings.replaced(bs=found.size))
    switch_size(learn, sized, stage.size)
    return replace(side, dataset=sized)


def stock_side(dataset: Dataset, device: torch.device) -> Side:
    """The same DataBlock, network and loss as a user of fastai has them, with all of its defaults.

    That is: images are decoded anew in every epoch, in as many processes as fastai takes, the step is in
    fp32 with fastai's Adam, and torch takes the threads it takes.

    Args:
        dataset: that of the other side, with its batch size.
        device: that both compute on.
    """
    stage, workers = measured_stage(dataset), min(16, defaults.cpus)
    settings = dataset.settings.replaced(cache="off", workers=workers)
    dataset = replace(dataset, settings=settings)
    dls = dataset.dataloaders(stage.size, device, fill=False)
    task, arch = get_task(dataset.recipe.task), find_architecture(settings.arch)
    normalize(dls, *arch.normalization)
    vocab = task.vocab(dls)
    weights = class_weights(dataset, settings, vocab)

    def told(loaded: LoadReport) -> None:
        require_fit(loaded, settings)

    learn = task.learner(
        dls,
        arch,
        settings,
        state=starting_state(arch, settings) if settings.weights is not None else None,
        report=told,
        loss_func=task.loss(
            settings, vocab, None if weights is None else torch.tensor(list(weights.values()))
        ),
        metrics=task.metrics(settings, vocab),
        wd=settings.wd,
        cbs=mixing_callbacks(settings.mixup, settings.cutmix),
    )
    _freeze(learn, stage)
    return Side("stock", learn, dataset, stage, "fp32", dls.train.fake_l.num_workers)


def _freeze(learn: Learner, stage: Stage) -> None:
    if stage.frozen:
        learn.freeze()
    else:
        learn.unfreeze()
