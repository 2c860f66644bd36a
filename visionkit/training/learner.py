"""A recipe's Learner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from fastai.callback.progress import ProgressCallback
from fastai.data.transforms import Normalize
from fastai.learner import Learner

from visionkit.errors import UsageError
from visionkit.models.architectures import find_architecture
from visionkit.models.weights import LoadReport, starting_state
from visionkit.tasks import get_task
from visionkit.tasks.options import check_options
from visionkit.training.averaging import averaging_callbacks
from visionkit.training.class_weights import class_weights
from visionkit.training.hardware import channels_innermost, precision_callbacks, resolve_precision
from visionkit.training.mixing import mixing_callbacks
from visionkit.training.non_finite import NonFinite
from visionkit.training.optimizer import FusedAdam
from visionkit.training.parts import Parts
from visionkit.training.recorder import DeviceRecorder
from visionkit.training.step import InnermostChannels, PlainStep

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.recipe import Recipe
    from visionkit.settings import TrainSettings


def build_learner(
    recipe: Recipe,
    dls: DataLoaders,
    settings: TrainSettings,
    *,
    report: Callable[[LoadReport], None] | None = None,
    random_weights: bool = False,
    quiet: bool = False,
) -> Learner:
    """Fastai's Learner for `recipe` on `dls`, with the body frozen where it starts from weights.

    Args:
        recipe: gives the task.
        dls: the recipe's DataLoaders; inputs are normalised to what the architecture's weights expect.
        settings: architecture, weights, weight decay, precision, loss and metric options.
        report: called with what of the weights fitted the architecture.
        random_weights: leave the network random, for weights that are loaded afterwards.
        quiet: without fastai's own progress bars and table.

    Raises:
        UsageError: unknown architecture, weights that are no state dict, or an option of the loss that does
            not go with the task.
        VisionkitError: weights that cannot be downloaded.
    """
    check_options(settings, recipe.task)
    task = get_task(recipe.task)
    arch = find_architecture(settings.arch)
    state = None if random_weights else starting_state(arch, settings)
    normalize(dls, *arch.normalization)
    vocab = task.vocab(dls)

    def told(loaded: LoadReport) -> None:
        require_fit(loaded, settings)
        if report is not None:
            report(loaded)

    weights = class_weights(getattr(dls, "origin", None), settings, vocab)
    precision = resolve_precision(settings.precision, dls.device)
    options: dict[str, Any] = {
        "loss_func": task.loss(
            settings, vocab, None if weights is None else torch.tensor(list(weights.values()))
        ),
        "metrics": task.metrics(settings, vocab),
        "wd": settings.wd,
        "opt_func": FusedAdam,
        "path": Path.cwd(),
        "cbs": [
            *precision_callbacks(precision, dls.device),
            *mixing_callbacks(settings.mixup, settings.cutmix),
            *averaging_callbacks(settings.ema),
        ],
    }
    learn: Learner = task.learner(dls, arch, settings, state=state, report=told, **options)
    learn.remove_cb(learn.recorder)
    learn.add_cb(DeviceRecorder())
    PlainStep.install(learn, Parts(enabled=settings.bs != "auto"))
    learn.add_cb(NonFinite(settings.on_nan))
    if channels_innermost(precision, dls.device):
        learn.model.to(memory_format=torch.channels_last)
        learn.add_cb(InnermostChannels())
    learn.starts_pretrained, learn.class_weights = state is not None, weights
    if quiet:
        learn.remove_cbs([callback for callback in learn.cbs if isinstance(callback, ProgressCallback)])
    return learn


def normalize(dls: DataLoaders, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Add fastai's `Normalize` to the batch transforms of `dls`, unless they have one."""
    if not any(isinstance(transform, Normalize) for transform in dls.after_batch.fs):
        dls.add_tfms([Normalize.from_stats(mean, std)], "after_batch")


def require_fit(loaded: LoadReport, settings: TrainSettings) -> None:
    """Refuse weights of which nothing fits. Raises UsageError."""
    if loaded.loaded == 0:
        raise UsageError(
            f"--weights {settings.weights}: no tensor of it fits {settings.arch}: {loaded}. "
            "Is it of another --arch?"
        )
