"""A run's model in a form for others."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.disk_faults import cannot_write, disk_fault
from visionkit.errors import UsageError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from visionkit.inference.exporting.making import GraphExport, Measured
from visionkit.inference.exporting.request import (
    ExportRequest,
    check_request,
    default_target,
    refuse_existing,
    written,
)
from visionkit.inference.predictor import bundle_folder, load
from visionkit.progress import Progress, Silence
from visionkit.runs import RUN_FILE, Run

if TYPE_CHECKING:
    from visionkit.sources.base import Store


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: the file or folder.
        rows: PyTorch's model, and what was made of it; empty for forms that need no comparison.
        headline: the name of the figure in `rows`; None where there is none.
    """

    path: Path
    rows: tuple[Measured, ...] = ()
    headline: str | None = None


def export_model(
    model: Run | Path, request: ExportRequest, store: Store | None = None, progress: Progress | None = None
) -> Exported:
    """Write a model in another form, having compared it with PyTorch on real images.

    Nothing is written where they do not agree, and a file that is there is never replaced. What was measured
    goes into the run's run.json, under `exports`.

    Args:
        model: a finished run, or a folder with a bundle.
        request: what is to be written.
        store: remembers which images were looked at before; `~/.visionkit` where None.
        progress: hears how far it is.

    Raises:
        UsageError: options that do not go together, or something is there already.
        VisionkitError: there is no model, PyTorch cannot export it, its answers differ too much, or the
            images to compare on are not there.
    """
    check_request(request)
    run = model if isinstance(model, Run) else None
    bundle = bundle_folder(model)
    description = read_description(bundle)
    target = request.out or default_target(run.path if run is not None else bundle, request)
    for path in written(target, request):
        refuse_existing(path, request)
    with _told(target), _work_folder(target) as work:
        made = work / target.name
        if request.to == "safetensors":
            made.mkdir()
            for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
                shutil.copyfile(bundle / name, made / name)
            load(made, "cpu")  # weights and description belong together
            exported = Exported(target)
        elif request.to == "fastai":
            _write_learner(run, made, store)
            exported = Exported(target)
        else:
            graphs = GraphExport(run, bundle, request, store, progress or Silence())
            rows, headline = graphs.write(made, target)
            exported = Exported(target, tuple(rows), headline)
            if request.preprocessing == "outside":
                file = made.with_suffix(".json")
                file.write_text(_instructions(description), encoding="utf-8")
        for path in written(target, request):
            refuse_existing(path, request)
            _flush(work / path.name)
            (work / path.name).replace(path)
    if run is not None:
        run.update(exports=[*_others(run, target), _entry(run, exported, request)])
    return exported


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Whatever a library makes of a disk that refuses becomes one message."""
    try:
        yield
    except Exception as error:
        fault = disk_fault(error)
        if fault is None:
            raise
        raise cannot_write(target, fault) from error


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target`, which is gone afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as name:
        yield Path(name)


def _flush(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else [path]:
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def _write_learner(run: Run | None, target: Path, store: Store | None) -> None:
    if run is None:
        raise UsageError("--to fastai: a Learner is built from a run; name a run rather than a bundle.")
    from visionkit.training.restore import restore

    learn, _ = restore(run, device="cpu", store=store)
    learn.path = target.parent
    try:
        learn.export(target.name)
    except RuntimeError as error:
        if "inline_container" not in str(error):  # PyTorch's writer, which does not say why a disk refuses
            raise
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(target)) from error


def _instructions(description: Any) -> str:
    """What a program has to do with an image before the graph, and what its outputs mean."""
    kept = {"task", "vocab", "input_size", "preprocessing", "activation", "thresholds", "decision"}
    return json.dumps(description.model_dump(mode="json", include=kept), indent=2) + "\n"


def _others(run: Run, target: Path) -> list[Any]:
    """The earlier exports of the run, as far as they were elsewhere."""
    listed = Run.read(run.path).info.get("exports", []) if (run.path / RUN_FILE).is_file() else []
    name = _name(run, target)
    return [each for each in listed if isinstance(each, dict) and each.get("path") != name]


def _name(run: Run, target: Path) -> str:
    whole, folder = target.resolve(), run.path.resolve()
    return (whole.relative_to(folder) if whole.is_relative_to(folder) else whole).as_posix()


def _entry(run: Run, exported: Exported, request: ExportRequest) -> dict[str, Any]:
    """What run.json says of an export."""
    entry: dict[str, Any] = {"path": _name(run, exported.path), "format": request.to}
    if not exported.rows:
        return entry
    last = exported.rows[-1]
    assert last.comparison is not None
    entry |= {
        "preprocessing": request.preprocessing,
        "precision": request.precision,
        "bytes": last.bytes,
        "images": last.comparison.images,
        "network": last.comparison.network.as_json(),
        "own_images": None if last.comparison.own is None else last.comparison.own.as_json(),
        "images_per_s": {row.name: row.speed for row in exported.rows},
    }
    if exported.headline is not None:
        entry[exported.headline] = {row.name: row.figure for row in exported.rows}
    return entry
