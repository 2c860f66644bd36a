"""A whole training: data, learner, stages, model, plots, and the run folder that holds them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.torch_core import set_seed

from visionkit.data.dataset import Dataset
from visionkit.distributed.ending import first_waited_for
from visionkit.distributed.launching import end_with_launcher
from visionkit.distributed.world import World, joined
from visionkit.recipe import Recipe
from visionkit.runs import RUN_FILE, Run, new_run_folder, only_one
from visionkit.settings import TrainSettings
from visionkit.sources import locate
from visionkit.sources.base import Store
from visionkit.training.announcing import announcement, description
from visionkit.training.determinism import deterministic
from visionkit.training.hardware import (
    device_name,
    resolve_precision,
    resolve_workers,
    shared_cores,
    tuned,
)
from visionkit.training.learner import build_learner
from visionkit.training.notebook import reporting
from visionkit.training.progress import Reporter, Unheard
from visionkit.training.record import conditions
from visionkit.training.refusing import check_started, checked_device
from visionkit.training.run_report import report_run
from visionkit.training.running import RunTraining
from visionkit.training.stages import plan_stages
from visionkit.training.unfinished import Unfinished


def train(
    recipe: Recipe,
    settings: TrainSettings,
    *,
    data: Path | str | None = None,
    sample: bool = False,
    out: Path | str | None = None,
    runs_root: Path | str = "runs",
    store: Store | None = None,
    reporter: Reporter | None = None,
    threads: int | None = None,
    batch_sizes: Sequence[int] = (),
    notes: Mapping[str, Any] | None = None,
    unfinished: Unfinished | None = None,
) -> Run:
    """Train `recipe` through all its stages; returns the finished run.

    Args:
        recipe: what to train.
        settings: how; see `TrainSettings`.
        data: the data set's folder, or the name of a source; without it the recipe's own source is fetched.
        sample: train on the recipe's synthetic sample.
        out: the run folder; without it a new one in `runs_root`.
        runs_root: the folder of run folders.
        store: for fetched and drawn data sets; `~/.visionkit` where None.
        reporter: told about the progress; where None, a table in a notebook, and plain lines elsewhere.
        threads: that torch computes with; on a CPU as many as the loader processes leave where None.
        batch_sizes: of the stages, where `bs` is "auto" and they are known, as those of a run that is
            reproduced.
        notes: further entries for run.json.
        unfinished: a run that is gone on with, in its folder; see `visionkit.training.resuming`.

    Raises:
        UsageError: a setting that cannot be.
        DataError: something is wrong with the data set.
        VisionkitError: data or weights that cannot be fetched, memory that runs out, or no compiler for
            `compile`.
        KeyboardInterrupt: after the training was saved, and the run folder marked as interrupted;
            `visionkit.resume` goes on with it.
    """
    started = time.perf_counter()
    device = checked_device(settings)
    end_with_launcher()
    with joined(device) as world, first_waited_for(world):
        with world.ending_together():
            check_started(settings, world)

        def new_folder() -> Path:
            if unfinished is not None:
                return unfinished.run.path
            return new_run_folder(recipe.name, Path(runs_root), Path(out) if out is not None else None)

        folder = world.told(new_folder)
        with reporting(reporter if world.leads else Unheard(), folder) as told:
            store = store or Store(progress=told)
            if not world.leads:
                store = replace(store, progress=told)
            loading = resolve_workers("auto", device)

            def opened() -> tuple[Dataset, bool]:
                place = locate(recipe.sourced(settings), data, sample, settings.seed, store)
                dataset = Dataset.open(recipe, settings, place.folder, store)
                return dataset, dataset.fill_cache(settings.sizes)

            dataset, cached = world.host_first(opened)
            with (
                shared_cores(device, 0 if cached else loading, threads),
                tuned(device),
                deterministic(device, settings.deterministic),
            ):
                run = _train_dataset(
                    dataset, device, folder, told, started, notes or {}, batch_sizes, unfinished, world
                )
    return run if world.leads else _run_of_the_first(run, folder)


def _run_of_the_first(own: Run, folder: Path) -> Run:
    """The finished run, in another process than the one that has written it.

    Args:
        own: what this process knows of it.
        folder: of the run; maybe on a disk of another host.
    """
    if (folder / RUN_FILE).is_file():
        return Run.read(folder)
    return Run(folder, {**own.info, "status": "done"})


def _train_dataset(
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    reporter: Reporter,
    started: float,
    notes: Mapping[str, Any],
    batch_sizes: Sequence[int],
    unfinished: Unfinished | None,
    world: World,
) -> Run:
    """Build the learner, make the run folder and train; the folder tells how it ended."""
    settings = dataset.settings
    precision = resolve_precision(settings.precision, device)
    set_seed(settings.seed)
    dls = dataset.dataloaders(settings.size, device, fill=False)
    checkpoint = None if unfinished is None else unfinished.checkpoint
    build = partial(
        build_learner,
        dataset.recipe,
        dls,
        settings,
        quiet=True,
        random_weights=checkpoint is not None,
        report=lambda loaded: reporter.note(f"weights    {loaded}"),
    )
    learn = world.host_first(build)
    if checkpoint is not None:
        learn.starts_pretrained = checkpoint.values.pretrained
    stages = plan_stages(settings, learn.starts_pretrained)
    if unfinished is None:
        reporter.note(announcement(dataset, stages, learn, device_name(device), precision, folder))
    if not world.leads:
        with TemporaryDirectory(prefix="visionkit-") as place:
            run = Run.create(Path(place) / folder.name, description(dataset, stages, "", precision))
            learn.path = run.path
            RunTraining(
                run, learn, dataset, stages, reporter, batch_sizes, checkpoint, started, world, folder
            ).train()
        return run
    with only_one(folder):
        if unfinished is None:
            described = description(dataset, stages, device_name(device), precision)
            processes = {"processes": world.size} if world.size > 1 else {}
            run = Run.create(folder, {**described, **conditions(dataset, device), **processes, **notes})
        else:
            run = unfinished.begin()
            reporter.note(unfinished.announcement(stages))
        learn.path = run.path
        if checkpoint is not None:
            started -= checkpoint.values.seconds
        RunTraining(run, learn, dataset, stages, reporter, batch_sizes, checkpoint, started, world).train()
        report_run(run, dataset, device, reporter)
    return run
