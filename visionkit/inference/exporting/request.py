"""What is to be exported, and where it goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from visionkit.errors import UsageError

if TYPE_CHECKING:
    from visionkit.inference.exporting.graph import Place

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
        preprocessing: in the graph, which then takes pixels of images as decoded (for labels and tags, turned
            upright by their EXIF mark before), or outside; of onnx and pt2.
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


def check_request(request: ExportRequest) -> None:
    """Raise `UsageError` for options that do not go together."""
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


def default_target(folder: Path, request: ExportRequest) -> Path:
    """Where the export of the run, or of the bundle, in `folder` goes."""
    if request.to == "safetensors":
        return folder / "export" / "bundle"
    if request.to == "fastai":
        return folder / "export" / "learner.pkl"
    parts = ["model"]
    parts += ["outside"] if request.preprocessing == "outside" else []
    parts += [request.precision] if request.precision != "fp32" else []
    return folder / "export" / f"{'-'.join(parts)}.{request.to}"


def written(target: Path, request: ExportRequest) -> list[Path]:
    """All that is written; the model last, so that a kill leaves none without what belongs to it."""
    graph = request.to in ("onnx", "pt2")
    return [*([target.with_suffix(".json")] if graph and request.preprocessing == "outside" else []), target]


def refuse_existing(path: Path, request: ExportRequest) -> None:
    """Raise `UsageError` where there is something at `path`."""
    if os.path.lexists(path):
        said = f"--out {path}" if request.out is not None else str(path)
        raise UsageError(f"{said}: is there already. Name a new place with --out; nothing was touched.")
