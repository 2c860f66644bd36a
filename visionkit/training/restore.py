"""A finished run's Learner, built again from its recipe, settings, data and weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastai.learner import Learner

from visionkit.data.dataset import Dataset
from visionkit.data.skipping import SKIP_FILE
from visionkit.data.splits import SPLIT_FILE
from visionkit.devices import resolve_device
from visionkit.errors import VisionkitError
from visionkit.inference.bundle import load_weights
from visionkit.progress import Silence
from visionkit.recorded_recipe import recorded_recipe, recorded_settings
from visionkit.runs import Run
from visionkit.sources.base import Store
from visionkit.training.class_weights import CLASS_WEIGHTS_FILE
from visionkit.training.learner import build_learner


def restore(run: Run, device: str = "auto", store: Store | None = None) -> tuple[Learner, Dataset]:
    """The Learner of `run` with its trained weights, and its data set, at the size of its last stage.

    Raises:
        VisionkitError: the run is not finished, or its data set is no longer there or is another one.
    """
    if not run.info.get("stages") or not (run.path / "model").is_dir():
        raise VisionkitError(
            f"{run.path}: the run is {run.status} and has no model. Only finished runs have."
        )
    dataset = recorded_dataset(run, store)
    dls = dataset.dataloaders(run.info["stages"][-1]["size"], resolve_device(device), fill=False)
    learn = build_learner(dataset.recipe, dls, dataset.settings, random_weights=True, quiet=True)
    load_weights(run.path / "model", learn)
    learn.path = run.path
    return learn, dataset


def recorded_dataset(run: Run, store: Store | None = None) -> Dataset:
    """The data set that `run` was trained on, divided as it was then.

    Raises:
        VisionkitError: it is no longer there, or is another one.
    """
    recipe = recorded_recipe(run)
    folder = Path(run.info["data"]["path"])
    if not os.path.isdir(folder):  # which takes any text, such as names that are too long
        raise VisionkitError(f"{folder}: the data set that {run.name} was trained on is no longer there.")
    settings = recorded_settings(run, recipe).replaced(**_recorded(run))
    dataset = Dataset.open(recipe, settings, folder, store or Store(progress=Silence()))
    if dataset.fingerprint() != run.info["data"]["fingerprint"]:
        raise VisionkitError(f"{folder}: the data set has changed since {run.name} was trained.")
    return dataset


def _recorded(run: Run) -> dict[str, Any]:
    """The settings that name the run's own split, list of skipped files and class weights, where it has
    them, and the batch size that its last stage was found to have room for.
    """
    changes: dict[str, Any] = {}
    if (run.path / SPLIT_FILE).is_file():
        changes |= {"split": str(run.path / SPLIT_FILE), "group_by": "", "folds": None, "fold": 1}
    if (run.path / SKIP_FILE).is_file():
        changes["skip"] = run.path / SKIP_FILE
    if (run.path / CLASS_WEIGHTS_FILE).is_file():
        changes["class_weights"] = run.path / CLASS_WEIGHTS_FILE
    if run.info.get("batch_sizes"):
        changes["bs"] = run.info["batch_sizes"][-1]
    return changes
