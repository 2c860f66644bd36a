"""A run's model in a form for others."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from visionkit.inference.predictor import Predictor, bundle_folder, load
from visionkit.progress import Progress, Silence
from visionkit.runs import RUN_FILE, Run

if TYPE_CHECKING:
    from visionkit.inference.exporting.agreement import Comparison, Tolerance
    from visionkit.inference.exporting.graph import Place
    from visionkit.sources.base import Store

Format = Literal["onnx", "pt2", "safetensors", "fastai"]
Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class ExportRequest:
    """What is to be written.

    Args:
        to: `onnx` for ONNX Runtime and many others, `pt2` for `torch.export.load`, `safetensors` for
            `visionkit.load` (the bundle: weights and JSON), `fastai` for `load_learner` (a pickle, which runs
            code on loading and needs visionkit installed there).
        out: file or folder to write; None is `export/` in the run folder.
        preprocessing: in the graph, which then takes images as they are stored, or outside; of onnx and pt2.
        precision: of the weights: `fp16` and `int8` are for onnx only.
        data: a folder of real images to compare on; None takes validation images of the run.
        tolerance: how much a probability may differ from PyTorch's; None has a default for each precision.
        same: the least share of equal answers, from 0 to 1; None has a default for each precision.
    """

    to: Format
    out: Path | None = None
    preprocessing: Place = "graph"
    precision: Precision = "fp32"
    data: Path | None = None
    tolerance: float | None = None
    same: float | None = None


@dataclass(frozen=True)
class Measured:
    """A model in one form.

    Args:
        name: of the form.
        bytes: of its file.
        speed: images a second, in batches, from the network's input on.
        figure: the headline figure on the compared images; None where there are no labels.
        comparison: with PyTorch; None for PyTorch's own.
    """

    name: str
    bytes: int
    speed: float
    figure: float | None = None
    comparison: Comparison | None = None


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
    _check(request)
    run = model if isinstance(model, Run) else None
    bundle = bundle_folder(model)
    description = read_description(bundle)
    target = request.out or _default_target(run.path if run is not None else bundle, request)
    for path in _written(target, request):
        _refuse_existing(path, request)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _work_folder(target) as work:
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
            exported = _Graphs(run, bundle, request, store, progress or Silence()).write(made, target)
            if request.preprocessing == "outside":
                file = made.with_suffix(".json")
                file.write_text(_instructions(description), encoding="utf-8")
        for path in _written(target, request):
            _refuse_existing(path, request)
            _flush(work / path.name)
            (work / path.name).replace(path)
    if run is not None:
        run.update(exports=[*_others(run, target), _entry(run, exported, request)])
    return exported


def _check(request: ExportRequest) -> None:
    graph = request.to in ("onnx", "pt2")
    if request.precision != "fp32" and request.to != "onnx":
        raise UsageError(f"--precision {request.precision}: is for --to onnx only.")
    for given, option in (
        (request.preprocessing != "graph", "--preprocessing"),
        (request.data is not None, "--data"),
        (request.tolerance is not None, "--tolerance"),
        (request.same is not None, "--same"),
    ):
        if given and not graph:
            raise UsageError(f"{option}: is for --to onnx and --to pt2 only.")
    if request.out is not None and graph and request.out.suffix != f".{request.to}":
        raise UsageError(f"--out {request.out}: give it the ending .{request.to}.")
    if request.tolerance is not None and not request.tolerance >= 0:
        raise UsageError(f"--tolerance {request.tolerance}: give 0 or more.")
    if request.same is not None and not 0 <= request.same <= 1:
        raise UsageError(f"--same {request.same}: give a share from 0 to 1, such as 0.99.")
    if request.to == "onnx":
        from visionkit.inference.exporting.formats import require_onnx

        require_onnx()


def _default_target(folder: Path, request: ExportRequest) -> Path:
    if request.to == "safetensors":
        return folder / "export" / "bundle"
    if request.to == "fastai":
        return folder / "export" / "learner.pkl"
    parts = ["model"]
    parts += ["outside"] if request.preprocessing == "outside" else []
    parts += [request.precision] if request.precision != "fp32" else []
    return folder / "export" / f"{'-'.join(parts)}.{request.to}"


def _written(target: Path, request: ExportRequest) -> list[Path]:
    """All that is written; the model last, so that a kill leaves none without what belongs to it."""
    graph = request.to in ("onnx", "pt2")
    return [*([target.with_suffix(".json")] if graph and request.preprocessing == "outside" else []), target]


def _refuse_existing(path: Path, request: ExportRequest) -> None:
    if os.path.lexists(path):
        said = f"--out {path}" if request.out is not None else str(path)
        raise UsageError(f"{said}: is there already. Name a new place with --out; nothing was touched.")


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target`, which is gone afterwards."""
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
    learn.export(target.name)


class _Graphs:
    """Makes graphs of a bundle, and measures them."""

    def __init__(
        self, run: Run | None, bundle: Path, request: ExportRequest, store: Store | None, progress: Progress
    ) -> None:
        from visionkit.inference.exporting.photos import comparison_photos, photo_count

        self.request, self.progress = request, progress
        self.reference = load(bundle, "cpu")
        self.bytes = (bundle / WEIGHTS_FILE).stat().st_size
        count = photo_count(self.reference.description.input_size)
        self.part = None
        if request.precision != "fp32" and run is not None and request.data is None:
            from visionkit.inference.exporting.scoring import labelled_photos

            self.part = labelled_photos(run, count, store)
            self.photos = self.part.images
        else:
            self.photos = comparison_photos(run, bundle, request.data, count)

    def write(self, made: Path, target: Path) -> Exported:
        """Write the model to `made`; the result says `target`, where it goes."""
        request = self.request
        if request.to == "pt2":
            rows = [self._program(made)]
        else:
            plain = made if request.precision == "fp32" else made.with_name(f"fp32.{made.name}")
            rows = [self._onnx(plain, "fp32")]
            if request.precision != "fp32":
                rows.append(self._onnx(made, request.precision, plain))
        comparison = rows[-1].comparison
        fault = comparison.fault(self._tolerance()) if comparison is not None else None
        if fault is not None:
            raise VisionkitError(
                f"{target}: not written, for it does not agree with PyTorch on {len(self.photos)} images: "
                f"{fault}."
            )
        from visionkit.inference.exporting.agreement import images_per_second

        speed = images_per_second(self.reference, self._inputs())
        name, figure = self._figure(self.reference)
        return Exported(target, (Measured("PyTorch", self.bytes, speed, figure), *rows), name)

    def _onnx(self, path: Path, precision: Precision, plain: Path | None = None) -> Measured:
        from visionkit.inference.exporting.formats import metadata_of, write_onnx
        from visionkit.inference.exporting.quantising import quantise
        from visionkit.inference.exporting.running import OnnxRunner

        said = self.reference.description
        metadata = metadata_of(said, self.request.preprocessing, precision)
        self.progress.note(f"export     ONNX, {precision}")
        if precision == "int8" and plain is not None:
            quantise(plain, path, metadata)
        else:
            write_onnx(self._graph(half=precision == "fp16"), said, metadata, path)
        return self._measured(f"ONNX {precision}", OnnxRunner(path), path)

    def _program(self, path: Path) -> Measured:
        from visionkit.inference.exporting.formats import metadata_of, write_pt2
        from visionkit.inference.exporting.running import ProgramRunner

        said = self.reference.description
        self.progress.note("export     pt2")
        write_pt2(self._graph(), said, metadata_of(said, self.request.preprocessing, "fp32"), path)
        return self._measured("pt2", ProgramRunner(path, said, self.request.preprocessing), path)

    def _graph(self, half: bool = False) -> Any:
        from visionkit.inference.exporting.graph import AnswerGraph, HalfNetwork, ImageGraph

        network = copy.deepcopy(self.reference.model)
        kind = ImageGraph if self.request.preprocessing == "graph" else AnswerGraph
        return kind(self.reference.description, HalfNetwork(network) if half else network)

    def _measured(self, name: str, runner: Any, path: Path) -> Measured:
        from visionkit.inference.exporting.agreement import compare
        from visionkit.inference.onnx_predictor import ExportedPredictor

        comparison = compare(self.reference, runner, self.photos, self.progress)
        _, figure = self._figure(ExportedPredictor(runner))
        return Measured(name, path.stat().st_size, comparison.speed, figure, comparison)

    def _figure(self, predictor: Predictor) -> tuple[str | None, float | None]:
        if self.part is None:
            return None, None
        from visionkit.inference.exporting.scoring import headline_figure

        return headline_figure(predictor, self.part)

    def _inputs(self) -> Any:
        import torch

        from visionkit.inference.exporting.agreement import batch_size

        first = self.photos[: batch_size(self.reference)]
        return torch.stack([self.reference.preprocess(photo) for photo in first])

    def _tolerance(self) -> Tolerance:
        from visionkit.inference.exporting.agreement import TOLERANCES

        given, usual = self.request, TOLERANCES[self.request.precision]
        if given.tolerance is not None:
            usual = replace(usual, difference=given.tolerance)
        return replace(usual, same=given.same) if given.same is not None else usual


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
