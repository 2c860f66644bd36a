"""The figures of a classifier with one label an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from visionkit.evaluation.bootstrap import Figure, class_mean, figures_of, share
from visionkit.evaluation.calibration import gaps
from visionkit.evaluation.predictions import image_losses
from visionkit.evaluation.scores import ClassTable, Scores

TOP = 5


def label_scores(probabilities: np.ndarray, targets: np.ndarray, vocab: Sequence[str]) -> Scores:
    """Accuracy and the like, and precision, recall and F1 of every class.

    Means over classes are over those that occur as truth or as prediction, as in scikit-learn; a class that
    is never predicted has precision 0. The calibration error is torchmetrics' with 15 bins.

    Args:
        probabilities: shape (images, classes).
        targets: class indices, shape (images,).
        vocab: the names of the classes.
    """
    images, classes = probabilities.shape
    guesses = probabilities.argmax(axis=1)
    right = guesses == targets
    own = probabilities[np.arange(images), targets]
    among_top = (probabilities > own[:, None]).sum(axis=1) < TOP
    losses, misfits = image_losses(probabilities, targets), gaps(probabilities, targets)
    truth, guess = _membership(targets, classes), _membership(guesses, classes)
    hits = _membership(targets, classes, right)

    def by_class(weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        there, said, met = ((table @ weights.T).T for table in (truth, guess, hits))
        found = {"precision": share(met, said), "recall": share(met, there)}
        return {**found, "f1": share(2 * met, said + there)}, there + said > 0

    whole, occurring = by_class(np.ones((1, images)))

    def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        count = weights.sum(axis=1)
        columns, occurs = by_class(weights)
        accuracy = weights @ right / count
        found = {"accuracy": accuracy, "error_rate": 1 - accuracy}
        if classes > TOP:
            found[f"top_{TOP}_accuracy"] = weights @ among_top / count
        for name, values in columns.items():
            known = np.where(occurs, values, np.nan)
            found[f"macro_{name}"] = class_mean(known, np.where(occurring, whole[name], np.nan))
        found["log_loss"] = weights @ losses / count
        found["calibration_error"] = np.abs(weights @ misfits).sum(axis=1) / count
        return {**found, **columns}

    figures = figures_of(statistics, images)
    columns: dict[str, Figure] = {name: figures.pop(name) for name in ("precision", "recall", "f1")}
    support = np.bincount(targets, minlength=classes)
    return Scores(figures, ClassTable("class", list(vocab), columns, {"images": support}))


def _membership(places: np.ndarray, classes: int, kept: np.ndarray | None = None) -> csr_matrix:
    """A sparse table of (classes, images) with a 1 where the image is of the class, and is `kept`."""
    images = np.arange(len(places)) if kept is None else np.flatnonzero(kept)
    return csr_matrix((np.ones(len(images)), (places[images], images)), shape=(classes, len(places)))
