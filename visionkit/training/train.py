"""A whole training: data, learner, stages, model, plots, and the run folder that holds them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import set_seed

from visionkit.data.dataset import Dataset
from visionkit.data.skipping import SKIP_FILE, write_skip_list
from visionkit.data.splits import SPLIT_FILE, write_split
from visionkit.inference.bundle import write_bundle
from visionkit.loading.loader import CachedLoading
from visionkit.recipe import Recipe
from visionkit.registry import recipe_file
from visionkit.reporting.plots import plot_run
from visionkit.runs import Run, new_run_folder
from visionkit.settings import TrainSettings
from visionkit.sources import SYNTHETIC_NOTE, locate
from visionkit.sources.base import Store
from visionkit.tasks.options import described
from visionkit.training.averaging import finish_averaging
from visionkit.training.class_weights import CLASS_WEIGHTS_FILE, write_class_weights
from visionkit.training.hardware import (
    device_name,
    leave_autocast,
    resolve_precision,
    resolve_workers,
    shared_cores,
    tuned,
)
from visionkit.training.interruption import Interruption
from visionkit.training.learner import build_learner
from visionkit.training.progress import PlainReporter, Reporter
from visionkit.training.record import conditions, contents_fingerprint
from visionkit.training.recording import Recording
from visionkit.training.refusing import checked_device
from visionkit.training.stage_training import StageTraining
from visionkit.training.stages import Stage, plan_stages
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

    Raises:
        UsageError: a setting that cannot be.
        DataError: something is wrong with the data set.
        VisionkitError: data or weights that cannot be fetched, memory that runs out, or no compiler for
            `compile`.
        KeyboardInterrupt: after the run folder was marked as interrupted.
    """
    started = time.perf_counter()
    reporter = reporter or PlainReporter()
    folder = new_run_folder(recipe.name, Path(runs_root), Path(out) if out is not None else None)
    device = checked_device(settings)
    store = store or Store(progress=reporter)
    place = locate(recipe.sourced(settings), data, sample, settings.seed, store)
    dataset = Dataset.open(recipe, settings, place.folder, store)
    workers = 0 if dataset.fill_cache(settings.sizes) else resolve_workers(settings.workers, device)
    with shared_cores(device, workers, threads), tuned(device):
        return _train_dataset(dataset, device, folder, reporter, started, notes or {}, batch_sizes)


def _train_dataset(
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    reporter: Reporter,
    started: float,
    notes: Mapping[str, Any],
    batch_sizes: Sequence[int],
) -> Run:
    """Build the learner, make the run folder and train; the folder tells how it ended."""
    settings = dataset.settings
    precision = resolve_precision(settings.precision, device)
    set_seed(settings.seed)
    dls = dataset.dataloaders(settings.size, device, fill=False)
    learn = build_learner(
        dataset.recipe, dls, settings, quiet=True, report=lambda loaded: reporter.note(f"weights    {loaded}")
    )
    stages = plan_stages(settings, learn.starts_pretrained)
    reporter.note(_announcement(dataset, stages, learn, device_name(device), precision, folder))
    described = _description(dataset, stages, device_name(device), precision)
    run = Run.create(folder, {**described, **conditions(dataset, device), **notes})
    learn.path = run.path
    _record_split(run, dataset)
    if learn.class_weights is not None:
        write_class_weights(run.path / CLASS_WEIGHTS_FILE, learn.class_weights)
    try:
        with Interruption() as interruption:
            learn.add_cb(interruption)
            _train_stages(run, learn, dataset, stages, reporter, batch_sizes)
        run.update(status="done")
    except KeyboardInterrupt:
        run.update(status="interrupted")
        raise
    except BaseException as error:
        run.update(status="failed", error=f"{type(error).__name__}: {error}")
        raise
    finally:
        run.update(seconds=round(time.perf_counter() - started, 2))
        leave_autocast(learn)
    return run


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
) -> None:
    """Train through `stages`; write history, metrics, model and plots."""
    waiting = Waiting()
    recording = Recording(run.path, reporter, waiting)
    learn.add_cbs([waiting, recording])
    training = StageTraining(learn, dataset, recording, reporter.note, batch_sizes)
    for stage in stages:
        training.train(stage)
        if training.sizes.chosen:
            run.update(batch_sizes=training.sizes.chosen)
    finish_averaging(learn)
    metrics = recording.epochs[-1].metrics
    if dataset.recipe.scores is not None:
        metrics = {**metrics, **dataset.recipe.scores(learn, dataset)}
    images_per_s = recording.trained_images / max(recording.training_seconds, 1e-9)
    run.update(
        metrics=metrics,
        images_per_s=round(images_per_s, 1),
        wait_percent=round(recording.wait_percent, 1),
    )
    last = dataset.settings.replaced(size=stages[-1].size, then=())
    write_bundle(run.path / "model", learn, dataset, last, metrics, reporter.note)
    plot_run(run, learn, dataset)


def _announcement(
    dataset: Dataset, stages: list[Stage], learn: Learner, device: str, precision: str, folder: Path
) -> str:
    """What a user wants to know before the training starts."""
    settings, recipe = dataset.settings, dataset.recipe
    drawn = "drawn in the layout of " if dataset.synthetic else ""
    bodies = {True: "pretrained", False: "from scratch"}
    lines = [
        ("recipe", f"{recipe.name}: {recipe.task}, {drawn}{recipe.dataset}"),
        ("data", f"{dataset.path}, {_counts(dataset)}"),
        ("network", f"{settings.arch}, {bodies[learn.starts_pretrained]}"),
        *([("loss", options)] if (options := described(settings)) else []),
        *((f"stage {stage.number}", _stage_line(stage)) for stage in stages),
        ("device", f"{device}, {precision}"),
        ("loading", f"batches {_batches(settings, learn.dls)} {_loading(learn.dls)}"),
        ("run", str(folder)),
    ]
    text = "\n".join(f"{name:10s} {value}" for name, value in lines)
    return f"{SYNTHETIC_NOTE}\n{text}" if dataset.synthetic else text


def _batches(settings: TrainSettings, dls: DataLoaders) -> str:
    return "as large as fit" if settings.bs == "auto" else f"of {dls.train.bs}"


def _loading(dls: DataLoaders) -> str:
    """Where batches come from, and who makes them."""
    workers: int = dls.train.fake_l.num_workers
    count = f"{workers} {{}}{'' if workers == 1 else 's'}"
    if isinstance(dls.train, CachedLoading):
        return f"from the cache, {count.format('thread')}"
    return f"from the files, {count.format('worker')}"


def _counts(dataset: Dataset) -> str:
    classes = dataset.class_counts()
    kind = {"single-label": "classes", "multi-label": "tags"}.get(dataset.recipe.task)
    counts = f"{len(dataset.train):,} training and {len(dataset.valid):,} validation images"
    return f"{counts}, {len(classes)} {kind}" if kind else counts


def _stage_line(stage: Stage) -> str:
    rate = "rate from lr_find" if stage.lr is None else f"rate {stage.lr:.2g}"
    return f"{stage.size} px, {stage.name}, {stage.epochs} epoch{'' if stage.epochs == 1 else 's'}, {rate}"


def _description(dataset: Dataset, stages: list[Stage], device: str, precision: str) -> dict[str, Any]:
    """What run.json says from the start."""
    return {
        "recipe": dataset.recipe.name,
        "recipe_file": recipe_file(dataset.recipe),
        "task": dataset.recipe.task,
        "headline": dataset.task.headline,
        "headline_lower_is_better": dataset.task.headline_lower_is_better,
        "synthetic": dataset.synthetic,
        "settings": dataset.settings.model_dump(mode="json"),
        "data": {
            "path": str(dataset.path.resolve()),
            "train": len(dataset.train),
            "valid": len(dataset.valid),
            "skipped": len(dataset.skipped),
            "classes": dict(sorted(dataset.class_counts().items())),
            "fingerprint": dataset.fingerprint(),
            "contents": contents_fingerprint(dataset, dataset.memory),
        },
        "stages": [stage.as_dict() for stage in stages],
        "device": device,
        "precision": precision,
    }
