"""An exported file with a predictor's interface: `visionkit.load("model.onnx")`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle_files import Bundle
from visionkit.inference.description import PictureStep, Steps, ToTensor
from visionkit.inference.exporting.running import OnnxRunner, Runner
from visionkit.inference.predictor import Predictor
from visionkit.inference.preprocessing import Preprocessing

_LEAST, _MOST = 1e-37, 1 - 1e-9
"""Probabilities are kept between these where a logarithm is taken of them."""


def load_onnx(path: str | Path, device: str = "auto") -> Predictor:
    """The model in an `.onnx` file that `visionkit export` wrote.

    Args:
        path: the file.
        device: "auto" and "cpu" compute on the CPU; "cuda" and "cuda:1" need onnxruntime-gpu.

    Raises:
        UsageError: onnxruntime is not installed, or has no such device.
        VisionkitError: the file is missing or damaged, or is none of visionkit's.
    """
    return ExportedPredictor(OnnxRunner(Path(path).expanduser(), device))


class ExportedPredictor(Predictor):
    """A `Predictor` whose figures come from an exported file.

    Where the file has the preprocessing in its graph, Pillow brings images to one size all the same, so that
    they can be computed in batches; the graph's own resizing then finds nothing to do.

    Args:
        runner: of the file.
    """

    def __init__(self, runner: Runner) -> None:
        said = runner.description
        super().__init__(Bundle(runner.path.parent, said, _Network(runner)), torch.device("cpu"))
        self.runner = runner
        if runner.place == "graph":
            self.preprocessing = _FirstStep(said.preprocessing, said.input_size)

    @property
    def splits(self) -> bool:
        """No: onnxruntime has threads of its own."""
        return False

    def outputs(self, batch: Tensor) -> Tensor:
        """As a predictor's; the logits of probabilities are found again but for a constant.

        Raises:
            UsageError: the batch is not of the size that the graph was made for.
            VisionkitError: the file cannot compute it, or gives no numbers.
        """
        with torch.inference_mode():
            found: Tensor = self.model(batch.cpu())
        if not bool(found.isfinite().all()):
            raise VisionkitError(
                f"{self.runner.path}: gives no numbers for some images. With 16 bits, values may be too "
                "large: export it with --precision fp32."
            )
        return found


class _Network(nn.Module):
    """Logits, or points of -1 to 1, by way of an exported file."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner = runner

    def forward(self, batch: Tensor) -> Tensor:
        said = self.runner.description
        if self.runner.place == "outside":
            found = self.runner(batch)
            return found["points"].flatten(1) if said.task == "keypoints" else self._logits(found)
        if batch.dtype != torch.uint8:
            raise UsageError(
                f"{self.runner.path}: has its preprocessing in the graph, and takes no images that something "
                "else has resized. Export it with --preprocessing outside for that."
            )
        found = self.runner(batch.permute(0, 2, 3, 1))
        if said.task != "keypoints":
            return self._logits(found)
        seen = self.window(batch)
        return ((found["points"].double() - seen[0]) / seen[1] * 2 - 1).float().flatten(1)

    def window(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Where the network looks in pictures that Pillow has resized: upper left corner, and size."""
        said = self.runner.description
        window = Preprocessing(said.preprocessing, said.input_size).window(batch.shape[-1], batch.shape[-2])
        return (
            torch.tensor([window.left, window.top], dtype=torch.float64),
            torch.tensor([window.width, window.height], dtype=torch.float64),
        )

    def _logits(self, found: dict[str, Tensor]) -> Tensor:
        said = self.runner.description
        probabilities = found["probabilities"].double()
        logits = probabilities.clamp(min=_LEAST).log()
        if said.activation == "sigmoid":
            logits -= torch.log1p(-probabilities.clamp(max=_MOST))
        return (logits * (said.temperature or 1.0)).float()


class _FirstStep(Preprocessing):
    """Brings pictures to one size; the rest is in the graph. Gives uint8, channels x rows x columns."""

    def __init__(self, steps: Steps, size: Sequence[int]) -> None:
        super().__init__(steps, size)
        first = steps.steps[0]
        resized = [first] if isinstance(first, PictureStep) else []
        if isinstance(first, PictureStep):
            size = (first.height, first.width)
        part = steps.model_copy(update={"steps": [*resized, ToTensor(divisor=1.0)]})
        self._first = Preprocessing(part, size)

    def pixels(self, image: str | Path | Image.Image) -> Tensor:
        return self._first.pixels(image)

    def inputs(self, pixels: Tensor) -> Tensor:
        return pixels
