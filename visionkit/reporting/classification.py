"""Plots of predicted labels and tags."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from visionkit.evaluation.class_report import class_report
from visionkit.evaluation.predictions import Predictions
from visionkit.reporting.bars import bar_axes, grouped_bars
from visionkit.reporting.matrix import MATRIX_LIMIT, share_matrix, short
from visionkit.reporting.sheets import Tile, sheet, thumbnail
from visionkit.reporting.style import OKABE_ITO, RIGHT, WRONG, plot_style
from visionkit.reporting.text import shown_name

EXAMPLES = 12
MOST_CLASSES = 40
"""Of more classes only those that are told worst are drawn."""
MOST_CONFUSIONS = 20
LONGEST_OF_PAIR = 28
"""Characters of a name where two stand on one line."""


def confusion(predictions: Predictions) -> Figure:
    """Truth against prediction, counted; for many classes the pairs that are confused most."""
    vocab = predictions.vocab
    counts = confusion_matrix(
        predictions.targets, predictions.probabilities.argmax(axis=1), labels=range(len(vocab))
    )
    if len(vocab) > MATRIX_LIMIT:
        return _top_confusions(counts, predictions)
    return share_matrix(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
        {(row, column): short(int(counts[row, column])) for row, column in zip(*np.nonzero(counts))},
        vocab,
        f"{predictions.name}: truth and prediction, {_right(counts)}",
        "share of the images of a class",
    )


def _right(counts: np.ndarray) -> str:
    return f"{int(np.trace(counts)):,} of {int(counts.sum()):,} images right"


def _top_confusions(counts: np.ndarray, predictions: Predictions) -> Figure:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong.ravel(), kind="stable")[:MOST_CONFUSIONS]
    order = [divmod(int(place), len(wrong)) for place in places if wrong.ravel()[place]]
    vocab = [shown_name(name, LONGEST_OF_PAIR) for name in predictions.vocab]
    names = [f"{vocab[truth]} taken for {vocab[guess]}" for truth, guess in order]
    title = f"{predictions.name}: most frequent confusions of {len(wrong):,} classes, {_right(counts)}"
    with plot_style():
        figure, axes = bar_axes(names, title, 0.3, xlabel="images")
        axes.barh(range(len(order)), [wrong[pair] for pair in order], color=OKABE_ITO[0])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0, None if order else 1)
        if not order:
            what = "no confusion: every image is right" if counts.sum() else "no images"
            axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center")
    return figure


def per_tag(predictions: Predictions, threshold: float) -> Figure:
    """Precision, recall and F2 of every tag at `threshold`, with the number of images that have it."""
    guesses = (predictions.probabilities > threshold).astype(int)
    precision, recall, f2, support = precision_recall_fscore_support(
        predictions.targets.astype(int), guesses, beta=2, zero_division=0
    )
    order = np.argsort(-support, kind="stable")[:MOST_CLASSES]
    names = [f"{shown_name(predictions.vocab[index])} ({support[index]:,})" for index in order]
    which = f"every tag at threshold {threshold:g}"
    if len(order) < len(support):
        which = f"the {len(order)} most frequent of {len(support):,} tags at threshold {threshold:g}"
    title = f"{predictions.name}: precision, recall and F2 of {which} (images that have it)"
    return grouped_bars(
        names, {"precision": precision[order], "recall": recall[order], "F2": f2[order]}, title
    )


def per_class(predictions: Predictions) -> Figure:
    """Precision, recall and F1 of every class, the lowest F1 first, with the number of its images."""
    rows = sorted(class_report(predictions)[: len(predictions.vocab)], key=lambda row: row.f1)
    shown = rows[:MOST_CLASSES]
    which = "every class, the lowest F1 first"
    if len(shown) < len(rows):
        which = f"the {len(shown)} of {len(rows):,} classes with the lowest F1"
    columns = [np.array([row[place] for row in shown]) for place in (1, 2, 3)]
    names = [f"{shown_name(row.name)} ({row.support:,})" for row in shown]
    title = f"{predictions.name}: precision, recall and F1 of {which} (images of it)"
    return grouped_bars(names, dict(zip(("precision", "recall", "F1"), columns)), title)


def _chosen(predictions: Predictions, worst: bool) -> list[int]:
    """The images with the highest loss, or images spread evenly over the validation set."""
    count = min(EXAMPLES, len(predictions.images))
    if worst:
        return [int(index) for index in np.argsort(-predictions.losses)[:count]]
    return [int(index) for index in np.linspace(0, len(predictions.images) - 1, count).round()]


def _title(predictions: Predictions, worst: bool) -> str:
    return f"{predictions.name}: validation images{' with the highest losses' if worst else ''}"


def label_examples(predictions: Predictions, worst: bool) -> Figure:
    """Images with the predicted label, its probability, and the truth where it differs."""
    tiles = []
    for index in _chosen(predictions, worst):
        guess, truth = int(predictions.probabilities[index].argmax()), int(predictions.targets[index])
        caption = f"{shown_name(predictions.vocab[guess])} {predictions.probabilities[index, guess]:.0%}"
        if guess != truth:
            caption += f"\ntruth: {shown_name(predictions.vocab[truth])}"
        tiles.append(Tile(thumbnail(predictions.images[index]), caption, RIGHT if guess == truth else WRONG))
    return sheet(tiles, f"{_title(predictions, worst)}, the answer and how sure it is")


def tag_examples(predictions: Predictions, threshold: float, worst: bool) -> Figure:
    """Images with the predicted tags, and what is missing (-) or too much (+)."""
    tiles = []
    for index in _chosen(predictions, worst):
        guess, truth = predictions.probabilities[index] > threshold, predictions.targets[index].astype(bool)
        names = [
            f"{'' if there else '+'}{name}"
            for name, said, there in zip(predictions.vocab, guess, truth)
            if said
        ]
        names += [
            f"-{name}" for name, said, there in zip(predictions.vocab, guess, truth) if there and not said
        ]
        right = bool((guess == truth).all())
        tiles.append(Tile(thumbnail(predictions.images[index]), " ".join(names), RIGHT if right else WRONG))
    return sheet(tiles, f"{_title(predictions, worst)}, predicted tags (+ wrong, - missed)")
