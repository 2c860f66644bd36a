"""The figures of masks: of each image only seven counts a code are kept, of its pixels and boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from visionkit.data.masks import void_index
from visionkit.evaluation.bootstrap import class_mean, figures_of, share
from visionkit.evaluation.boundary import boundary_counts
from visionkit.evaluation.scores import ClassTable, Scores


class MaskCounts:
    """Counts the pixels of one image after the other; Void counts nowhere.

    Args:
        codes: their names; one called Void is left out.

    Attributes:
        confusion: pixels as truth x prediction.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self.codes = list(codes)
        self.void = void_index(codes)
        self.confusion = np.zeros((len(codes), len(codes)), dtype=np.int64)
        self._images: list[np.ndarray] = []

    def add(self, predicted: np.ndarray, target: np.ndarray) -> None:
        """Count an image: codes predicted and true, both height x width."""
        confusion = multiclass_confusion_matrix(
            torch.from_numpy(predicted.astype(np.int64))[None],
            torch.from_numpy(target.astype(np.int64))[None],
            num_classes=len(self.codes),
            ignore_index=self.void,
        ).numpy()
        self.confusion += confusion
        counts = [np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)]
        counts += boundary_counts(predicted, target, len(self.codes), self.void)
        self._images.append(np.stack(counts).astype(np.int32))

    def scores(self) -> Scores:
        """Pixel accuracy, means over codes, and the figures of every code.

        `mean_iou`, `mean_dice` and `mean_boundary_f1` are means over the codes that occur as truth or as
        prediction (for boundaries: that have one), without Void; `pixel_accuracy` is over all pixels.
        """
        images = np.stack(self._images).astype(float)  # of shape (images, 7, codes)
        flat = images.reshape(len(images), -1)
        counted = np.arange(len(self.codes)) != (-1 if self.void is None else self.void)

        def by_code(weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
            counts = (weights @ flat).reshape(len(weights), *images.shape[1:]).swapaxes(0, 1)
            right, there, said, drawn, drawn_met, true, true_met = counts
            precision, recall = share(drawn_met, drawn), share(true_met, true)
            boundary = share(2 * precision * recall, precision + recall)
            occurs, lined = (there + said > 0) & counted, (true + drawn > 0) & counted
            columns = {
                "iou": np.where(occurs, share(right, there + said - right), np.nan),
                "dice": np.where(occurs, share(2 * right, there + said), np.nan),
                "precision": np.where(occurs, share(right, said), np.nan),
                "recall": np.where(occurs, share(right, there), np.nan),
                "boundary_f1": np.where(lined, boundary, np.nan),
            }
            return columns, share(right.sum(axis=1), there.sum(axis=1))

        whole, _ = by_code(np.ones((1, len(images))))

        def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
            columns, accuracy = by_code(weights)
            means = {
                f"mean_{name}": class_mean(columns[name], whole[name])
                for name in ("iou", "dice", "boundary_f1")
            }
            return {"pixel_accuracy": accuracy, **means, **columns}

        figures = figures_of(statistics, len(images))
        columns = {name: figures.pop(name) for name in ("iou", "dice", "precision", "recall", "boundary_f1")}
        pixels = images[:, 1].sum(axis=0).astype(np.int64)
        return Scores(figures, ClassTable("code", self.codes, columns, {"pixels": pixels}))
