"""Predicted masks on the validation images, streamed: only figures and a few examples are kept."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from visionkit.data.masks import void_index

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset

EXAMPLES = 4


@dataclass(frozen=True)
class MaskExample:
    """One image (height x width x 3, 0 to 1), its mask and the predicted one (height x width, code
    indices).
    """

    name: str
    image: np.ndarray
    target: np.ndarray
    predicted: np.ndarray
    accuracy: float


@dataclass(frozen=True)
class MaskPredictions:
    """What a U-Net says of the validation images: pixel counts as truth x prediction, Void's rows left
    out.
    """

    name: str
    codes: list[str]
    confusion: np.ndarray
    examples: list[MaskExample]
    worst: list[MaskExample]


def predict_masks(learn: Learner, dataset: Dataset, codes: Sequence[str]) -> MaskPredictions:
    """Run `learn` over the validation images at the size that it was last trained at."""
    void = void_index(codes)
    confusion = MulticlassConfusionMatrix(num_classes=len(codes), ignore_index=void)
    names = [dataset.images[index].name for index in dataset.valid]
    kept = set(np.linspace(0, len(names) - 1, min(EXAMPLES, len(names))).round().astype(int).tolist())
    examples: list[MaskExample] = []
    worst: list[tuple[float, int, MaskExample]] = []
    seen = 0
    learn.model.eval()
    for images, masks in learn.dls.valid:
        with torch.no_grad():
            predicted = learn.model(images).argmax(dim=1).as_subclass(torch.Tensor).cpu()
        targets = masks.as_subclass(torch.Tensor).cpu()
        confusion.update(predicted, targets)
        shown = _displayable(learn, images)
        for image, target, guess in zip(shown, targets.numpy(), predicted.numpy()):
            counted = target != void if void is not None else np.ones_like(target, dtype=bool)
            accuracy = float((guess == target)[counted].mean()) if counted.any() else 1.0
            example = MaskExample(names[seen], image, target, guess, accuracy)
            if seen in kept:
                examples.append(example)
            heapq.heappush(worst, (-accuracy, seen, example))
            if len(worst) > EXAMPLES:
                heapq.heappop(worst)
            seen += 1
    ordered = [example for *_, example in sorted(worst, key=lambda entry: entry[2].accuracy)]
    return MaskPredictions(dataset.recipe.name, list(codes), confusion.compute().numpy(), examples, ordered)


def _displayable(learn: Learner, images: torch.Tensor) -> np.ndarray:
    """A normalised batch as pictures: batch x height x width x 3, values of 0 to 1."""
    from fastai.data.transforms import Normalize

    batch = images.as_subclass(torch.Tensor).float().cpu()
    for transform in learn.dls.after_batch.fs:
        if isinstance(transform, Normalize):
            batch = batch * transform.std.cpu() + transform.mean.cpu()
    return batch.clamp(0, 1).permute(0, 2, 3, 1).numpy()
