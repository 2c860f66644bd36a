"""A run's model in a form for others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle import DESCRIPTION_FILE, WEIGHTS_FILE
from visionkit.runs import Run

if TYPE_CHECKING:
    from visionkit.sources.base import Store

Format = Literal["safetensors", "fastai"]


def export_run(run: Run, to: Format, out: Path | None = None, store: Store | None = None) -> Path:
    """Write the model of `run` in another form; returns what was written.

    Args:
        run: a finished run.
        to: `safetensors` copies the bundle (weights and their JSON, no pickle) to a folder; `fastai` writes a
            pickled Learner for `load_learner`, which runs code on loading and needs visionkit installed
            there.
        out: the folder or file to write; by default `export/` in the run folder.
        store: remembers which images were looked at before; `~/.visionkit` where None.

    Raises:
        UsageError: `out` is there already.
        VisionkitError: the run is not finished.
    """
    target = out or run.path / "export" / ("bundle" if to == "safetensors" else "learner.pkl")
    if out is not None and out.exists():
        raise UsageError(f"--out {out}: is there already. Name a new place; nothing was touched.")
    if not (run.path / "model" / WEIGHTS_FILE).is_file():
        raise VisionkitError(f"{run.path}: the run is {run.status} and has no model to export.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if to == "safetensors":
        target.mkdir(exist_ok=True)
        for name in (WEIGHTS_FILE, DESCRIPTION_FILE):
            shutil.copyfile(run.path / "model" / name, target / name)
    else:
        _export_learner(run, target, store)
    return target


def _export_learner(run: Run, target: Path, store: Store | None) -> None:
    from visionkit.training.restore import restore

    learn, _ = restore(run, device="cpu", store=store)
    beside = target.with_name(f".{target.name}.part")
    learn.path = target.parent
    learn.export(beside.name)
    beside.replace(target)
