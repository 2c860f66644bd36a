"""Running exported files: what goes in and comes out, by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE
from visionkit.inference.description import Description, parse_description
from visionkit.inference.exporting.formats import PLACE_KEY
from visionkit.inference.exporting.graph import OUTPUTS, Place


class Runner(Protocol):
    """A file that answers."""

    path: Path
    description: Description
    place: Place

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs by name.

        Args:
            images: uint8 (images, rows, columns, channels) where the preprocessing is in the graph, else
                float32 (images, channels, rows, columns), normalised.
        """


class OnnxRunner:
    """An `.onnx` file of ours, in ONNX Runtime.

    Args:
        path: the file.
        device: "auto" and "cpu" compute on the CPU; "cuda" and "cuda:1" need onnxruntime-gpu.

    Raises:
        UsageError: onnxruntime is not installed, or has no such device.
        VisionkitError: the file is missing or damaged, or is none of visionkit's.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(f"{path}: needs onnxruntime: pip install onnxruntime.") from None
        self.path = path
        if not path.is_file():
            raise VisionkitError(f"{path}: there is no such file.")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        providers = _providers(device, onnxruntime.get_available_providers())
        try:
            self.session: Any = onnxruntime.InferenceSession(str(path), options, providers=providers)
            said = self.session.get_modelmeta().custom_metadata_map
            names = [output.name for output in self.session.get_outputs()]
            inputs = [each.name for each in self.session.get_inputs()]
        except Exception as error:  # ONNX Runtime has classes of its own for each fault
            reason = " ".join(str(error).split())[:300]
            raise VisionkitError(f"{path}: cannot be read as ONNX ({reason}).") from None
        if DESCRIPTION_FILE not in said:
            raise VisionkitError(
                f"{path}: an ONNX file that does not say what its outputs mean. Only files that visionkit "
                "export wrote can be loaded."
            )
        self.description = parse_description(said[DESCRIPTION_FILE], f"{path}: {DESCRIPTION_FILE}")
        self.place: Place = "outside" if said.get(PLACE_KEY) == "outside" else "graph"
        if names != list(OUTPUTS[self.description.task]) or len(inputs) != 1:
            raise VisionkitError(
                f"{path}: its inputs or outputs are not those of {self.description.task}. It was changed "
                "after the export."
            )
        self.input, self.names = inputs[0], names

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        try:
            found = self.session.run(None, {self.input: np.ascontiguousarray(images.numpy())})
        except Exception as error:  # ONNX Runtime has classes of its own for each fault
            reason = " ".join(str(error).split())[:300]
            raise VisionkitError(
                f"{self.path}: cannot compute images of the shape {list(images.shape)} ({reason})."
            ) from None
        return {name: torch.from_numpy(each) for name, each in zip(self.names, found)}


class ProgramRunner:
    """A `.pt2` file that was just written; such files are not for loading from anywhere."""

    def __init__(self, path: Path, description: Description, place: Place) -> None:
        self.path, self.description, self.place = path, description, place
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.module = torch.export.load(path).module()

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            return dict(zip(OUTPUTS[self.description.task], self.module(images)))


def _providers(device: str, available: list[str]) -> list[Any]:
    if device in ("auto", "cpu"):
        return ["CPUExecutionProvider"]
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdecimal() or not number):
        raise UsageError(f"--device {device}: .onnx files run on cpu, cuda or cuda:1.")
    if "CUDAExecutionProvider" not in available:
        raise UsageError(
            f"--device {device}: this onnxruntime computes on the CPU only; install onnxruntime-gpu in its "
            "place, or give --device cpu."
        )
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]
