"""Curves over a training: losses, schedule, metrics, and the learning-rate search."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from visionkit.errors import VisionkitError
from visionkit.reporting.style import OKABE_ITO, new_figure, plot_style, shown_name
from visionkit.runs import AFTER_METRICS, BATCHES_FILE, BEFORE_METRICS, HISTORY_FILE, Run

if TYPE_CHECKING:
    from visionkit.training.rates import RateTest

MOST_STAGES = 100
"""With more, plots do not mark where they begin."""


def losses(run: Run) -> Figure:
    """Training loss of every batch, smoothed, and both losses at the end of every epoch."""
    batches, history = run.batches, run.history
    values = np.array([float(row["loss"]) for row in batches])
    ends = epoch_ends(run)
    with plot_style():
        figure = new_figure(8, 4.5)
        axes = figure.add_subplot()
        axes.plot(
            np.arange(1, len(values) + 1),
            smoothed(values),
            color=OKABE_ITO[5],
            linewidth=1,
            label="training, batch",
        )
        for name, color, label in (("train_loss", 0, "training, epoch"), ("valid_loss", 1, "validation")):
            axes.plot(
                ends, [float(row[name]) for row in history], color=OKABE_ITO[color], marker="o", label=label
            )
        _mark_stages(axes, run)
        axes.set(title=f"Losses of {shown_name(run.name)}", xlabel="training batches", ylabel="loss")
        axes.legend()
    return figure


def schedule(run: Run) -> Figure:
    """Learning rate and momentum of every batch (the 1cycle policy of Leslie Smith, arXiv:1803.09820)."""
    batches = run.batches
    with plot_style():
        figure = new_figure(8, 5)
        upper, lower = figure.subplots(2, 1, sharex=True)
        steps = range(1, len(batches) + 1)
        upper.plot(steps, [float(row["lr"]) for row in batches])
        upper.set(title=f"One-cycle schedule of {shown_name(run.name)}", ylabel="learning rate (head)")
        lower.plot(steps, [float(row["mom"]) for row in batches], color=OKABE_ITO[1])
        lower.set(xlabel="training batches", ylabel="momentum")
        _mark_stages(upper, run)
        _mark_stages(lower, run, named=False)
    return figure


def metrics(run: Run) -> Figure:
    """Every validation metric after each epoch."""
    history = run.history
    names = [name for name in history[0] if name not in (*BEFORE_METRICS, *AFTER_METRICS)]
    epochs = np.arange(1, len(history) + 1)
    figures = np.array([[float(row[name]) for name in names] for row in history])
    highest = figures.max(initial=0.0, where=np.isfinite(figures))
    top = 1.02 if highest <= 1 else min(1.05 * highest, 1e300)  # errors in pixels are no shares
    with plot_style():
        figure = new_figure(8, 4.5)
        axes = figure.add_subplot()
        for name in names:
            values = [float(row[name]) for row in history]
            axes.plot(epochs, values, marker="o", label=f"{shown_name(name)}, last {values[-1]:.4f}")
        axes.set(
            title=f"Validation metrics of {shown_name(run.name)}",
            xlabel="epochs",
            ylabel="metric",
            ylim=(-0.02, top),
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def rate_curve(test: RateTest, title: str) -> Figure:
    """Loss over learning rate, with the suggestions marked."""
    with plot_style():
        figure = new_figure(8, 4.5)
        axes = figure.add_subplot()
        axes.plot(test.rates, test.losses, color=OKABE_ITO[0])
        for color, (name, rate) in enumerate(test.suggestions.items(), start=1):
            loss = float(np.interp(rate, test.rates, test.losses))
            axes.plot(rate, loss, "o", color=OKABE_ITO[color], markersize=9, label=f"{name}: {rate:.2e}")
        best, first = min(test.losses), test.losses[0]
        axes.set(
            title=title, xscale="log", xlabel="learning rate", ylabel="training loss, smoothed",
            ylim=(best - 0.1 * abs(first - best) - 1e-3, max(first, best) + 0.5 * abs(first - best) + 1e-3),
        )  # fmt: skip
        axes.legend()
    return figure


def smoothed(values: np.ndarray, beta: float = 0.9) -> np.ndarray:
    """Exponential moving average, corrected for its start, as fastai's recorder smooths."""
    out, average = np.empty_like(values), 0.0
    for index, value in enumerate(values):
        average = beta * average + (1 - beta) * value
        out[index] = average / (1 - beta ** (index + 1))
    return out


def epoch_ends(run: Run) -> list[int]:
    """The number of batches trained at the end of every epoch."""
    history = run.history
    epochs = Counter(row["stage"] for row in history)
    ends, done = [], 0
    for stage, count in Counter(row["stage"] for row in run.batches).items():
        ends += [done + round(count * (index + 1) / epochs[stage]) for index in range(epochs[stage])]
        done += count
    if len(ends) != len(history):
        raise VisionkitError(
            f"{run.path}: {HISTORY_FILE} and {BATCHES_FILE} do not go together: the first has an epoch of a "
            "stage of which the second has no batch. One of them is damaged."
        )
    return ends


def _mark_stages(axes: Axes, run: Run, named: bool = True) -> None:
    """A line where a stage begins, with its size."""
    stages = [row["stage"] for row in run.batches]
    names = {str(stage["number"]): f"{stage['size']} px {stage['name']}" for stage in run.info["stages"]}
    starts: dict[str, int] = {}
    for place, stage in enumerate(stages):
        starts.setdefault(stage, place)
    if not 1 < len(starts) <= MOST_STAGES:
        return
    for stage, start in starts.items():
        if start:
            axes.axvline(start + 0.5, color="#999999", linewidth=0.8, linestyle="--")
        if named:
            axes.text(
                start + 1,
                1.0,
                shown_name(names.get(stage, "")),
                transform=axes.get_xaxis_transform(),
                fontsize=8,
                va="top",
                color="#666666",
            )
