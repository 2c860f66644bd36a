"""A trained model, ready to answer: without the recipe, the data, fastai or any pickle.

import visionkit

model = visionkit.load("runs/pets-20261121-141812-aaae")
print(model.predict("cat.jpg").label)
for answer in model.predict(["a.jpg", "b.jpg"]):
    print(answer.top(3))
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from visionkit.devices import resolve_device
from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, Bundle, read_bundle
from visionkit.inference.decisions import tags_by_expected_fbeta, tags_over
from visionkit.inference.description import Description
from visionkit.inference.prepared import Precision, precision_on, prepared
from visionkit.inference.preprocessing import Preprocessing, Window
from visionkit.inference.results import (
    UNSEEN,
    LabelPrediction,
    MaskPrediction,
    PointPrediction,
    Prediction,
    TagPrediction,
)
from visionkit.runs import RUN_FILE, Run
from visionkit.visible import visible

Photo = str | Path | Image.Image


def load(model: str | Path | Run, device: str = "auto", precision: Precision = "fp32") -> Predictor:
    """The model of a run, of any folder with a bundle, or in an `.onnx` file that visionkit exported.

    Nothing in the files is executed: they are data, and are checked before they are used.

    Args:
        model: a finished run or its folder, a folder with `model.json` and `model.safetensors`, an `.onnx`
            file, which needs onnxruntime, or "hf:OWNER/NAME" (or "hf:OWNER/NAME@REVISION") for one on the
            Hugging Face Hub.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".
        precision: "fp32" gives what validation in fp32 gave; "bf16" and, on GPUs, "fp16" are faster and give
            probabilities that differ, now and then by hundredths; "auto" is bf16 where the device has it.

    Raises:
        UsageError: there is no such device, or it has no such precision.
        VisionkitError: there is no model, it is damaged or of a newer visionkit, or the Hub does not give it.
    """
    if isinstance(model, (str, Path)) and not str(model).startswith("hf:") and Path(model).suffix == ".onnx":
        from visionkit.inference.onnx_predictor import load_onnx

        if precision not in ("auto", "fp32"):
            raise UsageError(f"--precision {precision}: {model} computes in what it was exported in.")
        return load_onnx(model, device)
    computed_on = resolve_device(device)
    return Predictor(read_bundle(bundle_folder(model)), computed_on, precision)


def bundle_folder(model: str | Path | Run) -> Path:
    """The folder that the bundle lies in; one of the Hub is fetched.

    Raises:
        VisionkitError: the run has no model, or the Hub does not give it.
    """
    if isinstance(model, str) and model.startswith("hf:"):
        from visionkit.inference.hub import fetch_model

        return fetch_model(model)
    folder = model.path if isinstance(model, Run) else Path(model).expanduser()
    if folder.name in (DESCRIPTION_FILE, WEIGHTS_FILE) and not folder.is_dir():
        folder = folder.parent
    if not (folder / RUN_FILE).is_file() or (folder / DESCRIPTION_FILE).is_file():
        return folder
    if not os.path.lexists(folder / "model" / DESCRIPTION_FILE):
        raise VisionkitError(
            f"{folder}: the run is {Run.read(folder).status} and has no model. Only finished runs have."
        )
    return folder / "model"


class Predictor:
    """A network with its weights, and what belongs to them.

    `predict` goes all the way. Programs that read images in threads of their own, or want the figures in
    between, go step by step: `preprocess` each image, stack the inputs, `outputs`, then `activations` or
    `decode`.

    Attributes:
        description: all that `model.json` says.
        model: the network, which gives logits; plain torch, without gradients, in evaluation mode.
        device: what it computes on.
        precision: what it computes in.
        preprocessing: makes its inputs.
    """

    def __init__(self, bundle: Bundle, device: torch.device, precision: Precision = "fp32") -> None:
        self.description: Description = bundle.description
        self.folder = bundle.folder
        self.device = device
        self.precision = precision_on(precision, device)
        self.model: nn.Module = bundle.model.to(device)
        self.preprocessing = Preprocessing(self.description.preprocessing, self.description.input_size)
        if not self.description.exact:
            warnings.warn(
                f"{bundle.folder / DESCRIPTION_FILE}: predictions may differ from those of the training's "
                f"validation: {visible(self.description.caveat)}",
                stacklevel=3,
            )

    def __repr__(self) -> str:
        said = self.description
        names = f"{len(said.vocab):,} name{'' if len(said.vocab) == 1 else 's'}"
        return f"Predictor({visible(said.recipe)}: {said.task}, {said.network.arch}, {names}, {self.device})"

    @cached_property
    def network(self) -> nn.Module:
        """What computes: `model`, or a faster copy of it that is made when it is first needed."""
        return prepared(self.model, self.device, self.precision)

    @property
    def splits(self) -> bool:
        """Whether several threads may compute at once, each a batch of its own."""
        return self.device.type == "cpu"

    @property
    def task(self) -> str:
        """single-label, multi-label, segmentation or keypoints."""
        return self.description.task

    @property
    def vocab(self) -> tuple[str, ...]:
        """Names of classes, tags, codes or points, in the order of the outputs."""
        return tuple(self.description.vocab)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a path is an iterable of letters, too
        self, images: str | Path | Image.Image, batch: int = ..., *, own_size: bool = ...
    ) -> Prediction: ...

    @overload
    def predict(
        self, images: Iterable[Photo], batch: int = ..., *, own_size: bool = ...
    ) -> list[Prediction]: ...

    def predict(
        self, images: Photo | Iterable[Photo], batch: int = 32, *, own_size: bool = True
    ) -> Prediction | list[Prediction]:
        """What the model says of one image, or of each of several, in their order.

        Args:
            images: files, or pictures of Pillow's.
            batch: how many are computed at once.
            own_size: masks at each image's own size; else at the network's.

        Raises:
            DataError: an image cannot be used; the message names its file.
            VisionkitError: the device has too little memory, or the weights give no numbers.
        """
        if isinstance(images, (str, Path, Image.Image)):
            return next(self.predict_each([images], batch, own_size=own_size))
        return list(self.predict_each(images, batch, own_size=own_size))

    def predict_each(
        self, images: Iterable[Photo], batch: int = 32, *, own_size: bool = True
    ) -> Iterator[Prediction]:
        """As `predict` for several images, one by one: any number of them takes the memory of a batch."""
        from visionkit.inference.computing import computed

        if batch < 1:
            raise UsageError(f"batch {batch}: give 1 or more.")
        sources = (image if isinstance(image, Image.Image) else Path(image) for image in images)
        for each in computed(self, sources, batch):
            if each.fault is not None:
                raise DataError(f"{each.name or 'the image'}: {each.fault}.")
            yield each.prediction(own_size=own_size)

    def input_of(self, image: Photo) -> tuple[Tensor, tuple[int, int]]:
        """The input for one image, and the width and height of the image as read, which `decode` asks for.

        Raises:
            DataError: it cannot be used; the message names its file.
        """
        try:
            picture = self.preprocessing.read(image)
            return self.preprocessing(picture), (picture.width, picture.height)
        except DataError as error:
            name = getattr(image, "filename", "") if isinstance(image, Image.Image) else os.fspath(image)
            raise DataError(f"{name or 'the image'}: {error}.") from error

    def preprocess(self, image: Photo) -> Tensor:
        """The input for one image, as `input_of`: float32, channels x rows x columns, on the CPU.

        All have the same size.
        """
        return self.input_of(image)[0]

    def outputs(self, batch: Tensor) -> Tensor:
        """Logits for a batch of inputs, or points from -1 to 1; float32, on the device.

        Raises:
            VisionkitError: the device has too little memory, or the weights give no numbers.
        """
        try:
            with torch.inference_mode():
                found: Tensor = self.network(batch.to(self.device)).float()
                finite = bool(found.isfinite().all())
        except torch.OutOfMemoryError as error:
            raise VisionkitError(
                f"{self.device} has too little memory for {len(batch)} images at once; give a smaller batch, "
                "or the device cpu."
            ) from error
        except RuntimeError as error:  # torch's, of sizes that do not go together
            reason = " ".join(str(error).split())[:300]
            raise VisionkitError(
                f"{self.folder / DESCRIPTION_FILE}: the network cannot take its inputs ({reason})."
            ) from error
        if found.ndim < 2 or found.shape[1] != self.description.network.outputs:
            raise VisionkitError(
                f"{self.folder / DESCRIPTION_FILE}: the network gives {list(found.shape[1:])} for an image."
            )
        if not finite:
            raise VisionkitError(f"{self.folder / WEIGHTS_FILE}: gives no numbers: the weights are damaged.")
        return found

    def activations(self, outputs: Tensor) -> Tensor:
        """Probabilities: (images, classes), for masks (images, codes, rows, columns); or points from -1 to 1,
        (images, points, 2).
        """
        if self.description.activation == "points":
            return outputs.reshape(len(outputs), -1, 2)
        scaled = outputs / (self.description.temperature or 1.0)
        return scaled.sigmoid() if self.description.activation == "sigmoid" else scaled.softmax(dim=1)

    def decode(
        self, outputs: Tensor, sizes: Sequence[tuple[int, int]], *, own_size: bool = True
    ) -> list[Prediction]:
        """What outputs mean.

        Args:
            outputs: those of `outputs`.
            sizes: width and height of each image as read.
            own_size: masks at these sizes; else at the network's.
        """
        return self.interpreted(self.figures(outputs), sizes, own_size=own_size)

    def figures(self, outputs: Tensor) -> np.ndarray:
        """What `interpreted` needs of outputs: the code of each pixel for masks, else the activations."""
        with torch.inference_mode():
            if self.task == "segmentation":
                return outputs.argmax(dim=1).to(torch.int16).cpu().numpy()
            return self.activations(outputs).cpu().numpy()

    def interpreted(
        self, figures: np.ndarray, sizes: Sequence[tuple[int, int]], *, own_size: bool = True
    ) -> list[Prediction]:
        """What `figures` mean; `decode` is both in one."""
        if self.task == "segmentation":
            return [self._mask(codes, *size, own_size) for codes, size in zip(figures, sizes)]
        if self.task == "keypoints":
            return [self._points(points, *size) for points, size in zip(figures, sizes)]
        return [self._label(row) for row in figures] if self.task == "single-label" else self._tags(figures)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Which tags images of these probabilities, shape (images, tags), get: booleans of that shape."""
        if self.description.decision == "expected-f2":
            return tags_by_expected_fbeta(probabilities)
        thresholds = self.description.thresholds
        return tags_over(probabilities, 0.5 if thresholds is None else thresholds)

    def _label(self, probabilities: np.ndarray) -> LabelPrediction:
        best = int(probabilities.argmax())
        return LabelPrediction(self.vocab[best], float(probabilities[best]), probabilities, self.vocab)

    def _tags(self, probabilities: np.ndarray) -> list[Prediction]:
        return [
            TagPrediction(tuple(name for name, on in zip(self.vocab, marks) if on), row, self.vocab)
            for row, marks in zip(probabilities, self.decide(probabilities))
        ]

    def _mask(self, codes: np.ndarray, width: int, height: int, own_size: bool) -> MaskPrediction:
        if own_size:
            codes = _at_size(codes, self.preprocessing.window(width, height), width, height)
        counts = np.bincount(codes[codes != UNSEEN], minlength=len(self.vocab))
        return MaskPrediction(codes, counts / max(1, counts.sum()), self.vocab)

    def _points(self, points: np.ndarray, width: int, height: int) -> PointPrediction:
        window = self.preprocessing.window(width, height)
        origin, span = (window.left, window.top), (window.width, window.height)
        return PointPrediction(origin + (points.astype(np.float64) + 1) / 2 * span, self.vocab)


def _at_size(codes: np.ndarray, window: Window, width: int, height: int) -> np.ndarray:
    """Codes of what a window shows, brought to the whole image by the nearest neighbour."""
    rows = np.floor((np.arange(height) + 0.5 - window.top) * codes.shape[0] / window.height).astype(int)
    columns = np.floor((np.arange(width) + 0.5 - window.left) * codes.shape[1] / window.width).astype(int)
    seen_rows, seen_columns = (
        (rows >= 0) & (rows < codes.shape[0]),
        (columns >= 0) & (columns < codes.shape[1]),
    )
    whole = np.full((height, width), UNSEEN, dtype=np.int16)
    whole[np.ix_(seen_rows, seen_columns)] = codes[np.ix_(rows[seen_rows], columns[seen_columns])]
    return whole
