"""A whole training: data, learner, stages, model, plots, and the run folder that holds them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.learner import Learner
from fastai.torch_core import set_seed

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Checkpoint
from visionkit.checkpoints.saving import Saving
from visionkit.data.dataset import Dataset
from visionkit.data.skipping import SKIP_FILE, write_skip_list
from visionkit.data.splits import SPLIT_FILE, write_split
from visionkit.inference.bundle import write_bundle
from visionkit.recipe import Recipe
from visionkit.reporting.plots import plot_run
from visionkit.runs import Run, new_run_folder, only_one
from visionkit.settings import TrainSettings
from visionkit.sources import locate
from visionkit.sources.base import Store
from visionkit.training.announcing import announcement, description
from visionkit.training.averaging import finish_averaging
from visionkit.training.class_weights import CLASS_WEIGHTS_FILE, write_class_weights
from visionkit.training.data_faults import Unchanged, explained, plots_may_lack_images
from visionkit.training.determinism import deterministic
from visionkit.training.hardware import (
    device_name,
    leave_autocast,
    resolve_precision,
    resolve_workers,
    shared_cores,
    tuned,
)
from visionkit.training.interruption import Interruption
from visionkit.training.keeping import finish_keeping, keeping_callbacks
from visionkit.training.learner import build_learner
from visionkit.training.progress import PlainReporter, Reporter
from visionkit.training.record import conditions
from visionkit.training.recording import Recording
from visionkit.training.refusing import checked_device
from visionkit.training.stage_training import StageTraining
from visionkit.training.stages import Stage, plan_stages
from visionkit.training.unfinished import Unfinished
from visionkit.training.waiting import Waiting


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
        reporter: told about the progress; plain lines where None.
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
        KeyboardInterrupt: after the training was saved, and the run folder marked as interrupted.
    """
    started = time.perf_counter()
    reporter = reporter or PlainReporter()
    if unfinished is None:
        folder = new_run_folder(recipe.name, Path(runs_root), Path(out) if out is not None else None)
    else:
        folder = unfinished.run.path
    device = checked_device(settings)
    store = store or Store(progress=reporter)
    place = locate(recipe.sourced(settings), data, sample, settings.seed, store)
    dataset = Dataset.open(recipe, settings, place.folder, store)
    loading = 0 if dataset.fill_cache(settings.sizes) else resolve_workers("auto", device)
    with shared_cores(device, loading, threads), tuned(device), deterministic(device, settings.deterministic):
        return _train_dataset(
            dataset, device, folder, reporter, started, notes or {}, batch_sizes, unfinished
        )


def _train_dataset(
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    reporter: Reporter,
    started: float,
    notes: Mapping[str, Any],
    batch_sizes: Sequence[int],
    unfinished: Unfinished | None,
) -> Run:
    """Build the learner, make the run folder and train; the folder tells how it ended."""
    settings = dataset.settings
    precision = resolve_precision(settings.precision, device)
    set_seed(settings.seed)
    dls = dataset.dataloaders(settings.size, device, fill=False)
    checkpoint = None if unfinished is None else unfinished.checkpoint
    learn = build_learner(
        dataset.recipe,
        dls,
        settings,
        quiet=True,
        random_weights=checkpoint is not None,
        report=lambda loaded: reporter.note(f"weights    {loaded}"),
    )
    if checkpoint is not None:
        learn.starts_pretrained = checkpoint.values.pretrained
    stages = plan_stages(settings, learn.starts_pretrained)
    if unfinished is None:
        reporter.note(announcement(dataset, stages, learn, device_name(device), precision, folder))
    with only_one(folder):
        if unfinished is None:
            described = description(dataset, stages, device_name(device), precision)
            run = Run.create(folder, {**described, **conditions(dataset, device), **notes})
        else:
            run = unfinished.begin()
            reporter.note(unfinished.announcement(stages))
        learn.path = run.path
        _train_run(run, learn, dataset, stages, reporter, batch_sizes, checkpoint, started)
    return run


def _train_run(
    run: Run,
    learn: Learner,
    dataset: Dataset,
    stages: list[Stage],
    reporter: Reporter,
    batch_sizes: Sequence[int],
    checkpoint: Checkpoint | None,
    started: float,
) -> None:
    """Train in the run's folder; it tells how that ended."""
    if checkpoint is not None:
        started -= checkpoint.values.seconds
    try:
        _record_split(run, dataset)
        if learn.class_weights is not None:
            write_class_weights(run.path / CLASS_WEIGHTS_FILE, learn.class_weights)
        with explained(dataset, run.path), Interruption(reporter.note) as interruption:
            checkpoints = CheckpointFolder(run.path)
            every = 60 * dataset.settings.checkpoint_minutes
            saving = Saving(checkpoints, interruption, stages, reporter.note, every, started)
            learn.add_cbs([interruption, saving])
            _train_stages(run, learn, dataset, stages, reporter, batch_sizes, saving, checkpoint)
            run.update(status="done")
            checkpoints.remove()
    except KeyboardInterrupt:
        run.close(status="interrupted")
        reporter.note(f"           visionkit resume {shlex.quote(str(run.path))} goes on")
        raise
    except BaseException as error:
        run.close(status="failed", error=f"{type(error).__name__}: {error}")
        raise
    finally:
        run.close(seconds=round(time.perf_counter() - started, 2))
        leave_autocast(learn)


def _record_split(run: Run, dataset: Dataset) -> None:
    """Write who trains and who validates, for the run itself and for others, and what was left out."""
    write_split(run.path / SPLIT_FILE, dataset.images, dataset.train, dataset.valid, dataset.path)
    if dataset.skipped:
        write_skip_list(run.path / SKIP_FILE, dataset.skipped, dataset.path)


def _train_stages(
    run: Run,
    learn: Learner,
    dataset: Dataset,
    stages: list[Stage],
    reporter: Reporter,
    batch_sizes: Sequence[int],
    saving: Saving,
    checkpoint: Checkpoint | None,
) -> None:
    """Train through `stages`; write history, metrics, model and plots."""
    waiting = Waiting()
    recording = Recording(run.path, reporter, waiting)
    keeping = keeping_callbacks(dataset.settings, dataset.task, recording, reporter.note)
    learn.add_cbs([waiting, recording, Unchanged(dataset, reporter.note), *keeping])
    learn.parts.note = learn.non_finite.note = reporter.note
    training = StageTraining(learn, dataset, recording, reporter.note, batch_sizes, saving, checkpoint)
    for stage in stages:
        training.train(stage)
        if training.sizes.chosen:
            run.update(batch_sizes=training.sizes.chosen)
    finish_averaging(learn)
    metrics = recording.epochs[-1].metrics
    if (kept := finish_keeping(learn)) is not None:
        run.update(best_epoch=kept._asdict())
        metrics = recording.metrics_of(*kept)
    if dataset.recipe.scores is not None:
        metrics = {**metrics, **dataset.recipe.scores(learn, dataset)}
    images_per_s = recording.trained_images / max(recording.training_seconds, 1e-9)
    run.update(
        metrics=metrics,
        images_per_s=round(images_per_s, 1),
        wait_percent=round(recording.wait_percent, 1),
        checkpoint_seconds=round(saving.spent, 2),
        left_out=learn.non_finite.count,
    )
    last = dataset.settings.replaced(size=stages[-1].size, then=())
    write_bundle(run.path / "model", learn, dataset, last, metrics, reporter.note)
    with plots_may_lack_images(dataset, reporter.note):
        plot_run(run, learn, dataset)
