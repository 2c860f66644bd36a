"""The figures of a classifier with any number of tags an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from visionkit.evaluation.bootstrap import class_mean, figures_of, share
from visionkit.evaluation.calibration import gaps
from visionkit.evaluation.scores import ClassTable, Scores
from visionkit.evaluation.thresholds import image_fbeta
from visionkit.inference.decisions import tags_by_expected_fbeta


def tag_scores(
    probabilities: np.ndarray, targets: np.ndarray, chosen: np.ndarray, vocab: Sequence[str]
) -> Scores:
    """F2 and the like over images, mAP over tags, and precision, recall, F1, F2 and AP of every tag.

    `f2` and `f1` are means over images, as the competitions have it; `f2_expected` is the F2 of the tag sets
    with the greatest expected F2. `mean_average_precision` is over the tags that occur.

    Args:
        probabilities: shape (images, tags).
        targets: 0/1, of the same shape.
        chosen: the tags that are predicted, boolean, of the same shape.
        vocab: the names of the tags.
    """
    images, tags = probabilities.shape
    truth = targets.astype(float)
    hits, guesses = truth * chosen, chosen.astype(float)
    expected = tags_by_expected_fbeta(probabilities)
    misfits = gaps(probabilities, targets)
    of_images = {
        "f2": image_fbeta(chosen, targets, 2),
        "f1": image_fbeta(chosen, targets, 1),
        "f2_expected": image_fbeta(expected, targets, 2),
        "accuracy_multi": (chosen == (truth > 0)).mean(axis=1),
        "exact_match": (chosen == (truth > 0)).all(axis=1).astype(float),
    }

    def averages(weights: np.ndarray) -> np.ndarray:
        of_tags = [average_precisions(probabilities[:, tag], truth[:, tag], weights) for tag in range(tags)]
        return np.stack(of_tags, axis=1)

    whole = averages(np.ones((1, images)))

    def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        count, average = weights.sum(axis=1), averages(weights)
        there, said, met = weights @ truth, weights @ guesses, weights @ hits
        found = {name: weights @ values / count for name, values in of_images.items()}
        found["mean_average_precision"] = class_mean(average, whole)
        found["calibration_error"] = np.abs(weights @ misfits).sum(axis=1) / (count * tags)
        return {
            **found,
            "precision": share(met, said),
            "recall": share(met, there),
            "tag_f1": share(2 * met, said + there),
            "tag_f2": share(5 * met, said + 4 * there),
            "average_precision": average,
        }

    figures = figures_of(statistics, images)
    columns = {
        shown: figures.pop(name)
        for shown, name in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("f1", "tag_f1"),
            ("f2", "tag_f2"),
            ("average_precision", "average_precision"),
        )
    }
    return Scores(figures, ClassTable("tag", list(vocab), columns, {"images": truth.sum(axis=0).astype(int)}))


def average_precisions(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """scikit-learn's `average_precision_score` for each row of `weights`: (draws,).

    Not a number where no image of a draw is positive. Images of equal score count together.

    Args:
        scores: shape (images,).
        truth: 0/1, shape (images,).
        weights: how often each image counts, shape (draws, images).
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(scores[order][:-1] != scores[order][1:], True))
    positive = np.flatnonzero(truth[order])
    if not len(positive):
        return np.full(len(weights), np.nan)
    # only where images of equal score hold a positive one, something is added
    groups, starts = np.unique(np.searchsorted(last, positive), return_index=True)
    drawn = weights[:, order]
    gained = np.add.reduceat(drawn[:, positive], starts, axis=1)
    right = gained.cumsum(axis=1)
    precision = share(right, drawn.cumsum(axis=1)[:, last[groups]])
    total = right[:, -1]
    return np.divide(
        (gained * precision).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0
    )
