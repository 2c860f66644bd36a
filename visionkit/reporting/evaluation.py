"""Plots of an evaluation: calibration, confusion, thresholds, and every class with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from visionkit.evaluation.bootstrap import Figure as Interval
from visionkit.evaluation.calibration import calibration_error, reliability
from visionkit.evaluation.predictions import Predictions, image_losses
from visionkit.evaluation.scores import ClassTable
from visionkit.evaluation.thresholds import mean_fbeta, threshold_curve
from visionkit.inference.decisions import tags_by_expected_fbeta
from visionkit.reporting.bars import bar_axes
from visionkit.reporting.classification import MOST_CLASSES, confusion
from visionkit.reporting.keypoints import distances
from visionkit.reporting.matrix import MATRIX_LIMIT, share_matrix
from visionkit.reporting.style import OKABE_ITO, WIDTH, legend_below, new_figure, plot_style, set_title
from visionkit.reporting.text import shown_name

if TYPE_CHECKING:
    from visionkit.evaluation.evaluating import Evaluation

_SHOWN = {"class": "f1", "tag": "f2", "code": "iou", "point": "mean_error"}
_LABELS = {
    "f1": "F1",
    "f2": "F2",
    "iou": "intersection over union",
    "mean_error": "mean error in pixels of the image",
}
_MOST_POINTS = 2000


def evaluation_plots(name: str, evaluation: Evaluation) -> dict[str, Figure]:
    """The plots that go with the task: file stem -> figure. `name` is the recipe's."""
    title = f"{name}, {evaluation.part.name} ({len(evaluation.part.places):,} images)"
    figures = {"per_class": per_class(evaluation.scores.table, title)}
    probabilities, targets = evaluation.probabilities, evaluation.targets
    if probabilities is not None and targets is not None:
        figures["reliability"] = reliability_diagram(probabilities, targets, title)
        if targets.ndim == 2:
            figures["thresholds"] = thresholds(evaluation, title)
        else:
            vocab, images = list(evaluation.description.vocab), evaluation.part.images
            losses = image_losses(probabilities, targets)
            shown = f"{name}, {evaluation.part.name}"
            figures["confusion"] = confusion(
                Predictions(shown, images, vocab, probabilities, targets, losses)
            )
    elif evaluation.confusion is not None:
        figures["confusion"] = pixel_confusion(evaluation.confusion, evaluation.description.vocab, title)
    if evaluation.errors is not None:
        figures["errors"] = distances(evaluation.errors, f"{title}: errors of the points")
    return figures


def per_class(table: ClassTable, title: str) -> Figure:
    """A bar with its interval for every class, tag, code or point that occurs, the worst first."""
    column = _SHOWN[table.kind]
    figure, counts = table.columns[column], next(iter(table.counts.values()))
    lower_is_better = table.kind == "point"
    known = np.flatnonzero(np.isfinite(figure.value))
    order = known[np.argsort(figure.value[known] * (-1 if lower_is_better else 1), kind="stable")]
    shown = order[:MOST_CLASSES]
    unit = next(iter(table.counts))
    names = [f"{shown_name(table.names[place])} ({counts[place]:,} {unit})" for place in shown]
    which = f"the {len(shown)} worst of {len(order):,}" if len(shown) < len(order) else "the worst first"
    label = _LABELS[column]
    with plot_style():
        label_below = f"{label} with 95 % interval" + ("" if lower_is_better else ", from 0 to 1")
        heading = f"{title}: {label.split(' in ')[0]} of each {table.kind}, {which}"
        drawn, axes = bar_axes(names, heading, 0.3, xlabel=label_below)
        axes.barh(
            np.arange(len(shown)), figure.value[shown], height=0.7, color=OKABE_ITO[5],
            xerr=_reach(figure, shown), capsize=2,
        )  # fmt: skip
        axes.set_xlim(0, None if lower_is_better else 1)
    return drawn


def _reach(figure: Interval, places: np.ndarray) -> np.ndarray:
    """How far intervals go down and up from their values."""
    value, low, high = (each[places] for each in (figure.value, figure.low, figure.high))
    return np.maximum(np.nan_to_num(np.stack([value - low, high - value])), 0)


def reliability_diagram(probabilities: np.ndarray, targets: np.ndarray, title: str) -> Figure:
    """The share that is right over what is claimed, and below how many claims there are."""
    bins = reliability(probabilities, targets)
    error = calibration_error(probabilities, targets)
    middles, width = (bins.edges[:-1] + bins.edges[1:]) / 2, bins.edges[1] - bins.edges[0]
    what, claims = "probability of the answer", "answers"
    if targets.ndim == 2:
        what, claims = "probability of a tag", "tags told"
    with plot_style():
        figure = new_figure(WIDTH, 0.9 * WIDTH)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color="#777777", linestyle="--", linewidth=1, label="as claimed")
        upper.bar(middles, np.nan_to_num(bins.right), width=0.92 * width, label="share that is right")
        upper.plot(
            bins.confidence,
            bins.right,
            "o",
            color=OKABE_ITO[1],
            markersize=5,
            label="mean of what is claimed",
        )
        upper.set(ylabel="share that is right", ylim=(0, 1.02))
        lower.bar(middles, bins.counts, width=0.92 * width, color=OKABE_ITO[5])
        lower.set(xlabel=what, ylabel=f"number of\n{claims}", xlim=(0, 1))
        set_title(figure, f"{title}: how sure and how often right, calibration error {error:.4f}")
        legend_below(figure)
    return figure


def thresholds(evaluation: Evaluation, title: str) -> Figure:
    """The mean F2 over one threshold for all tags, and what else decides."""
    probabilities, targets, chosen = evaluation.probabilities, evaluation.targets, evaluation.chosen
    assert probabilities is not None and targets is not None and chosen is not None
    places, scores = threshold_curve(probabilities, targets)
    some = np.unique(np.linspace(0, len(places) - 1, min(_MOST_POINTS, len(places))).round().astype(int))
    best = int(scores.argmax())
    expected = mean_fbeta(tags_by_expected_fbeta(probabilities), targets)
    now = mean_fbeta(chosen, targets)
    with plot_style():
        figure = new_figure(WIDTH, 5.5)
        axes = figure.add_subplot()
        axes.step(places[some], scores[some], where="mid", label="one threshold for all tags")
        axes.plot(
            places[best], scores[best], "o", color=OKABE_ITO[1],
            label=f"best on these images: {places[best]:.3f}, F2 {scores[best]:.4f}",
        )  # fmt: skip
        axes.axhline(now, color=OKABE_ITO[2], linewidth=1.5, label=f"as the model decides now, F2 {now:.4f}")
        axes.axhline(
            expected, color=OKABE_ITO[3], linestyle="--", linewidth=1.5,
            label=f"greatest expected F2, F2 {expected:.4f}",
        )  # fmt: skip
        axes.set(xlabel="threshold", ylabel="mean F2 of the images", xlim=(0, 1), ylim=(0, 1.02))
        set_title(figure, f"{title}: F2 at every threshold")
        legend_below(figure)
    return figure


def pixel_confusion(counts: np.ndarray, codes: list[str], title: str) -> Figure:
    """Of each code's pixels the share that is taken for each, in per cent; the codes that occur most."""
    pixels = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = np.flatnonzero(pixels)
    if len(occurs) > MATRIX_LIMIT:
        title = f"{title}, the {MATRIX_LIMIT} largest of {len(occurs)} codes"
        occurs = np.sort(np.argsort(-pixels, kind="stable")[:MATRIX_LIMIT])
    used = counts[np.ix_(occurs, occurs)]
    shares = used / np.maximum(counts[occurs].sum(axis=1, keepdims=True), 1)
    texts = {
        (row, column): f"{100 * shares[row, column]:.0f}" for row, column in zip(*np.nonzero(shares >= 0.005))
    }
    title = f"{title}: truth and prediction, % of the pixels of a code"
    return share_matrix(
        shares, texts, [codes[place] for place in occurs], title, "share of the pixels of a code"
    )
