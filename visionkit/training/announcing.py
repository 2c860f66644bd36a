"""What a training says before it starts, to people and in run.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner

from visionkit.data.dataset import Dataset
from visionkit.loading.loader import CachedLoading
from visionkit.registry import recipe_file
from visionkit.settings import TrainSettings
from visionkit.sources import SYNTHETIC_NOTE
from visionkit.tasks.options import described
from visionkit.training.record import contents_fingerprint
from visionkit.training.stages import Stage


def announcement(
    dataset: Dataset, stages: list[Stage], learn: Learner, device: str, precision: str, folder: Path | None
) -> str:
    """What a user wants to know before the training starts; `folder` is the run's, where it has one."""
    settings, recipe = dataset.settings, dataset.recipe
    drawn = "drawn in the layout of " if dataset.synthetic else ""
    bodies = {True: "pretrained", False: "from scratch"}
    lines = [
        ("recipe", f"{recipe.name}: {recipe.task}, {drawn}{recipe.dataset}"),
        ("data", f"{dataset.path}, {_counts(dataset)}"),
        ("network", f"{settings.arch}, {bodies[learn.starts_pretrained]}"),
        *([("loss", options)] if (options := described(settings)) else []),
        *((f"stage {stage.number}", stage_line(stage)) for stage in stages),
        ("device", f"{device}, {precision}"),
        ("loading", f"batches {_batches(settings, learn.dls)} {_loading(learn.dls)}"),
        *([("run", str(folder))] if folder is not None else []),
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


def stage_line(stage: Stage) -> str:
    """A stage in a few words."""
    rate = "rate from lr_find" if stage.lr is None else f"rate {stage.lr:.2g}"
    return f"{stage.size} px, {stage.name}, {stage.epochs} epoch{'' if stage.epochs == 1 else 's'}, {rate}"


def description(dataset: Dataset, stages: list[Stage], device: str, precision: str) -> dict[str, Any]:
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
