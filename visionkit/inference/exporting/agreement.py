"""How far an exported file agrees with the PyTorch model that it was made from, on real images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visionkit.inference.exporting.running import Runner
from visionkit.inference.onnx_predictor import ExportedPredictor
from visionkit.inference.predictor import Predictor
from visionkit.progress import Progress

NEAR = 0.01
"""Points are the same where they differ by less than this share of the side."""
SECONDS = 1.0
"""That speed is measured for at least, after a first pass."""


@dataclass(frozen=True)
class Tolerance:
    """What an export may differ by.

    Args:
        difference: of a probability, or of a point in shares of the side; for the same input to the network.
        same: the least share of answers that are the same. One answer may always be another: it may be a tie.
    """

    difference: float
    same: float


TOLERANCES = {"fp32": Tolerance(1e-3, 0.99), "fp16": Tolerance(2e-2, 0.98), "int8": Tolerance(1.0, 0.9)}


@dataclass
class Agreement:
    """Answers beside those of PyTorch.

    Args:
        difference: the largest.
        answers: labels, tags (yes or no, of each image), pixels of masks, or points.
        other: how many of them are not the same.
    """

    difference: float = 0.0
    answers: int = 0
    other: int = 0

    @property
    def same(self) -> float:
        """The share of answers that are the same."""
        return 1 - self.other / max(1, self.answers)

    def add(self, expected: np.ndarray, found: np.ndarray, other: np.ndarray) -> None:
        """Count probabilities or places, and which of their answers are not the same."""
        difference = float(np.abs(found.astype(np.float64) - expected).max())
        # a NaN stays
        self.difference = difference if not difference <= self.difference else self.difference
        self.answers += other.size
        self.other += int(other.sum())

    def as_json(self) -> dict[str, Any]:
        """For run.json."""
        return {"max_difference": self.difference, "same_answers": self.same}


@dataclass(frozen=True)
class Comparison:
    """An exported file beside PyTorch.

    Args:
        images: how many were compared.
        network: for the same input to the network.
        own: from the pixels of images on, each by itself; None where the preprocessing is outside.
        speed: images a second, in batches, from the network's input on.
    """

    images: int
    network: Agreement
    own: Agreement | None
    speed: float

    def fault(self, allowed: Tolerance) -> str | None:
        """What is not as it should be, if anything."""
        if not self.network.difference <= allowed.difference:
            return (
                f"answers to the same input differ by up to {self.network.difference:.2g}, and "
                f"{allowed.difference:g} is allowed (--tolerance)"
            )
        for each, what in ((self.network, "the same input"), (self.own, "the same images")):
            if each is not None and each.other > 1 and each.same < allowed.same:
                return (
                    f"only {each.same:.1%} of the answers to {what} are the same, and {allowed.same:.1%} "
                    "should be (--same)"
                )
        return None


def compare(reference: Predictor, runner: Runner, photos: Sequence[Path], progress: Progress) -> Comparison:
    """Ask both about `photos`, and measure how fast the file is.

    Raises:
        DataError: an image cannot be used.
        VisionkitError: the file does not run, or gives no numbers.
    """
    exported = ExportedPredictor(runner)
    network, own = Agreement(), Agreement() if runner.place == "graph" else None
    bs = batch_size(reference)
    first: Tensor | None = None
    with progress.track("compare", len(photos), "images") as advance:
        for start in range(0, len(photos), bs):
            chunk = photos[start : start + bs]
            inputs = torch.stack([exported.preprocess(photo) for photo in chunk])
            first = inputs if first is None else first
            expected = _activations(reference, torch.stack([reference.preprocess(photo) for photo in chunk]))
            found = _activations(exported, inputs)
            network.add(expected, found, _other(reference, expected, found))
            if own is not None:
                for photo, row in zip(chunk, expected):
                    _add_own(own, reference, runner, photo, row[None])
            advance(len(chunk))
    assert first is not None
    return Comparison(len(photos), network, own, images_per_second(exported, first))


def batch_size(predictor: Predictor) -> int:
    """How many images are compared at once."""
    return 2 if predictor.task == "segmentation" else 8


def images_per_second(predictor: Predictor, inputs: Tensor) -> float:
    """How fast it answers `inputs`: the fastest of some passes, since others may use the machine as well."""
    predictor.outputs(inputs)
    best, spent, passes = float("inf"), 0.0, 0
    while spent < SECONDS or passes < 3:
        started = time.perf_counter()
        predictor.outputs(inputs)
        took = time.perf_counter() - started
        best, spent, passes = min(best, took), spent + took, passes + 1
    return len(inputs) / best


def _activations(predictor: Predictor, inputs: Tensor) -> np.ndarray:
    found = predictor.activations(predictor.outputs(inputs)).cpu().numpy()
    return (found + 1) / 2 if predictor.task == "keypoints" else found


def _other(reference: Predictor, expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which answers are not the same."""
    if reference.task == "keypoints":
        return np.asarray(np.abs(found - expected).max(axis=-1) >= NEAR)
    if reference.task == "multi-label":
        return np.asarray(reference.decide(expected) != reference.decide(found))
    return np.asarray(expected.argmax(axis=1) != found.argmax(axis=1))


def _add_own(own: Agreement, reference: Predictor, runner: Runner, photo: Path, expected: np.ndarray) -> None:
    """Count what the file says of one image at its own size."""
    picture = reference.preprocessing.read(photo)
    pixels = np.array(picture).reshape(1, picture.height, picture.width, -1)
    answers = {name: each.numpy() for name, each in runner(torch.from_numpy(pixels)).items()}
    if reference.task == "keypoints":
        window = reference.preprocessing.window(picture.width, picture.height)
        found = (answers["points"] - [window.left, window.top]) / [window.width, window.height]
    else:
        found = answers["probabilities"]
    other = _other(reference, expected, found)
    if reference.task == "segmentation":
        codes = torch.from_numpy(np.log(np.maximum(expected, 1e-37)))
        (mask,) = reference.decode(codes, [(picture.width, picture.height)])
        other = mask.codes != answers["mask"][0]  # type: ignore[union-attr]
    own.add(expected, found, other)
