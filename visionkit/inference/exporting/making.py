"""Graphs of a bundle's model, made and measured beside it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import VisionkitError
from visionkit.inference.bundle_files import WEIGHTS_FILE
from visionkit.inference.exporting.request import ExportRequest, Precision
from visionkit.inference.predictor import Predictor, load
from visionkit.progress import Progress
from visionkit.runs import Run

if TYPE_CHECKING:
    from visionkit.inference.exporting.agreement import Comparison, Tolerance
    from visionkit.sources.base import Store


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


class GraphExport:
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

    def write(self, made: Path, target: Path) -> tuple[list[Measured], str | None]:
        """Write the model to `made`, which will stand at `target`.

        Returns:
            PyTorch's model and what was made of it, and the name of their figure.

        Raises:
            VisionkitError: PyTorch cannot export it, or the answers differ too much.
        """
        request = self.request
        if request.to == "pt2":
            rows = [self._program(made)]
        else:
            plain = made if request.precision == "fp32" else made.with_name(f"fp32.{made.name}")
            rows = [self._onnx(plain, "fp32")]
            if request.precision != "fp32":
                rows.append(self._onnx(made, request.precision, plain))
        from visionkit.inference.exporting.agreement import images_per_second

        speed = images_per_second(self.reference, self._inputs())
        name, figure = self._figure(self.reference)
        rows.insert(0, Measured("PyTorch", self.bytes, speed, figure))
        comparison = rows[-1].comparison
        fault = comparison.fault(self._tolerance()) if comparison is not None else None
        if comparison is not None and fault is not None:
            raise VisionkitError(
                f"{target}: not written, for it does not agree with PyTorch on {len(self.photos)} images: "
                f"{fault}. Measured: {_told(rows, name, comparison)}."
            )
        return rows, name

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


def _told(rows: Sequence[Measured], figure: str | None, comparison: Comparison) -> str:
    """What the last of `rows` is like beside the first, in words."""
    first, last = rows[0], rows[-1]
    words = [
        f"{last.bytes / 1e6:.1f} MB instead of {first.bytes / 1e6:.1f}",
        f"{last.speed / max(first.speed, 1e-9):.2f} times as fast",
        f"{comparison.network.same:.2%} of the answers the same",
    ]
    if figure is not None and first.figure is not None and last.figure is not None:
        words.append(f"{figure} {last.figure:.4f} instead of {first.figure:.4f}")
    return ", ".join(words)
