"""Plots of predicted labels and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from visionkit.evaluation.class_report import class_report
from visionkit.evaluation.predictions import Predictions
from visionkit.reporting.sheets import Tile, sheet, thumbnail, wrapped
from visionkit.reporting.style import OKABE_ITO, RIGHT, WRONG, new_figure, plot_style, shown_name

EXAMPLES = 12
MATRIX_LIMIT = 40
"""With more classes a confusion matrix cannot be read; the most frequent confusions are listed instead."""

MOST_CLASSES = 60
"""Of more classes only those that are told worst are drawn."""


def confusion(predictions: Predictions) -> Figure:
    """Truth against prediction, counted; for many classes the pairs that are confused most."""
    vocab = predictions.vocab
    counts = confusion_matrix(
        predictions.targets, predictions.probabilities.argmax(axis=1), labels=range(len(vocab))
    )
    return (
        _matrix(counts, predictions) if len(vocab) <= MATRIX_LIMIT else _top_confusions(counts, predictions)
    )


def _matrix(counts: np.ndarray, predictions: Predictions) -> Figure:
    vocab, classes = list(map(shown_name, predictions.vocab)), len(predictions.vocab)
    side = 3.2 + 0.36 * classes
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with plot_style():
        figure = new_figure(side, side)
        axes = figure.add_subplot()
        axes.grid(False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(counts)):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=8)
        axes.set_xticks(range(classes), vocab, rotation=90, fontsize=9, parse_math=False)
        axes.set_yticks(range(classes), vocab, fontsize=9, parse_math=False)
        right = int(np.trace(counts))
        axes.set(
            title=f"{predictions.name}: {right} of {counts.sum()} right", xlabel="predicted", ylabel="truth"
        )
    return figure


def _top_confusions(counts: np.ndarray, predictions: Predictions, limit: int = 20) -> Figure:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = [
        divmod(int(place), len(wrong))
        for place in wrong.ravel().argsort()[::-1][:limit]
        if wrong.ravel()[place]
    ]
    vocab = list(map(shown_name, predictions.vocab))
    names = [f"{vocab[truth]} taken for {vocab[guess]}" for truth, guess in order]
    with plot_style():
        figure = new_figure(8, 1.5 + 0.3 * len(order))
        axes = figure.add_subplot()
        axes.barh(range(len(order)), [wrong[pair] for pair in order])
        axes.set_yticks(range(len(order)), names, fontsize=9, parse_math=False)
        axes.invert_yaxis()
        axes.set(title=f"{predictions.name}: most frequent confusions", xlabel="images")
    return figure


def per_tag(predictions: Predictions, threshold: float) -> Figure:
    """Precision, recall and F2 of every tag at `threshold`, with the number of images that have it."""
    guesses = (predictions.probabilities > threshold).astype(int)
    precision, recall, f2, support = precision_recall_fscore_support(
        predictions.targets.astype(int), guesses, beta=2, zero_division=0
    )
    order = np.argsort(-support)[:MOST_CLASSES]
    names = [f"{shown_name(predictions.vocab[index])} ({support[index]})" for index in order]
    title = f"{predictions.name}: per tag at threshold {threshold:g} (images that have it)"
    if len(order) < len(support):
        title = f"{predictions.name}: the {len(order)} most frequent of {len(support)} tags at {threshold:g}"
    return _bars(names, {"precision": precision[order], "recall": recall[order], "F2": f2[order]}, title)


def per_class(predictions: Predictions) -> Figure:
    """Precision, recall and F1 of every class, the lowest F1 first, with the number of its images."""
    rows = sorted(class_report(predictions)[: len(predictions.vocab)], key=lambda row: row.f1)
    shown = rows[:MOST_CLASSES]
    title = f"{predictions.name}: per class (images of it)"
    if len(shown) < len(rows):
        title = f"{predictions.name}: the {len(shown)} of {len(rows)} classes with the lowest F1"
    columns = [np.array([row[place] for row in shown]) for place in (1, 2, 3)]
    names = [f"{shown_name(row.name)} ({row.support})" for row in shown]
    return _bars(names, dict(zip(("precision", "recall", "F1"), columns)), title)


def _bars(names: Sequence[str], columns: Mapping[str, np.ndarray], title: str) -> Figure:
    """Three bars from 0 to 1 for each name."""
    with plot_style():
        figure = new_figure(8, 1.8 + 0.42 * len(names))
        axes = figure.add_subplot()
        rows = np.arange(len(names))
        for color, (shift, (label, values)) in enumerate(zip((-0.27, 0, 0.27), columns.items())):
            axes.barh(rows + shift, values, height=0.25, label=label, color=OKABE_ITO[color])
        axes.set_yticks(rows, names, parse_math=False)
        axes.invert_yaxis()
        axes.set(title=title, xlim=(0, 1))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=3)
    return figure


def _chosen(predictions: Predictions, worst: bool) -> list[int]:
    """The images with the highest loss, or images spread evenly over the validation set."""
    count = min(EXAMPLES, len(predictions.images))
    if worst:
        return [int(index) for index in np.argsort(-predictions.losses)[:count]]
    return [int(index) for index in np.linspace(0, len(predictions.images) - 1, count).round()]


def _title(predictions: Predictions, worst: bool) -> str:
    return f"{predictions.name}: " + ("highest losses" if worst else "validation images")


def label_examples(predictions: Predictions, worst: bool) -> Figure:
    """Images with the predicted label, its probability, and the truth where it differs."""
    tiles = []
    for index in _chosen(predictions, worst):
        guess, truth = int(predictions.probabilities[index].argmax()), int(predictions.targets[index])
        caption = f"{shown_name(predictions.vocab[guess])} {predictions.probabilities[index, guess]:.0%}"
        if guess != truth:
            caption += f"\ntruth: {shown_name(predictions.vocab[truth])}"
        tiles.append(Tile(thumbnail(predictions.images[index]), caption, RIGHT if guess == truth else WRONG))
    return sheet(tiles, _title(predictions, worst))


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
        tiles.append(
            Tile(thumbnail(predictions.images[index]), wrapped(" ".join(names)), RIGHT if right else WRONG)
        )
    return sheet(tiles, f"{_title(predictions, worst)} (+ wrongly predicted, - missed)")
