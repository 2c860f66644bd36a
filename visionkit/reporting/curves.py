"""Curves over a training: losses, schedule, metrics, and the learning-rate search."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from visionkit.errors import VisionkitError
from visionkit.reporting.style import (
    OKABE_ITO,
    TRAINING,
    VALIDATION,
    WIDTH,
    legend_below,
    new_figure,
    plot_style,
    set_title,
)
from visionkit.reporting.text import FONT_SIZE, shown_name
from visionkit.runs import AFTER_METRICS, BATCHES_FILE, BEFORE_METRICS, HISTORY_FILE, Run

if TYPE_CHECKING:
    from visionkit.training.rates import RateTest

PIXELS = "pixel_error"
"""The metric that is no share, but a distance in pixels."""
_MARKERS = "osD^v<>P"
MOST_STAGES = 100
"""With more, plots do not mark where they begin."""


def losses(run: Run) -> Figure:
    """Training loss of every batch, smoothed, and both losses at the end of every epoch."""
    batches, history = run.batches, run.history
    values = np.array([float(row["loss"]) for row in batches])
    ends = epoch_ends(run)
    curves = [smoothed(values)] + [
        [float(row[name]) for row in history] for name in ("train_loss", "valid_loss")
    ]
    top, highest = upper_end(values, np.concatenate(curves))
    with plot_style():
        figure = new_figure(WIDTH, 5)
        axes = figure.add_subplot()
        axes.plot(
            np.arange(1, len(values) + 1), curves[0], color=OKABE_ITO[5], linewidth=1,
            label="training, batches smoothed",
        )  # fmt: skip
        for curve, color, marker, label in (
            (curves[1], TRAINING, "o", "training, epoch"),
            (curves[2], VALIDATION, "s", "validation"),
        ):
            axes.plot(ends, curve, color=color, marker=marker, label=label)
        _mark_stages(axes, run)
        axes.set(xlabel="training batches", ylabel="loss")
        if top is not None:
            lowest = float(np.nanmin(np.concatenate(curves)))
            axes.set(
                ylim=(lowest - 0.05 * (top - lowest), top),
                ylabel=f"loss, cut off at {top:.3g} (highest {highest:.3g})",
            )
        set_title(figure, f"{shown_name(run.name)}: loss in training and validation")
        legend_below(figure)
    return figure


def upper_end(batches: np.ndarray, drawn: np.ndarray) -> tuple[float | None, float]:
    """Where the axis of losses ends if few of them are so large that nothing is seen of the others; and the
    largest.
    """
    finite = drawn[np.isfinite(drawn)]
    usual = np.quantile(batches[np.isfinite(batches)], 0.9) if np.isfinite(batches).any() else 0.0
    highest = float(finite.max(initial=0.0))
    return (float(3 * usual), highest) if highest > 6 * usual > 0 else (None, highest)


def schedule(run: Run) -> Figure:
    """Learning rate and momentum of every batch (the 1cycle policy of Leslie Smith, arXiv:1803.09820)."""
    batches = run.batches
    with plot_style():
        figure = new_figure(WIDTH, 5.2)
        upper, lower = figure.subplots(2, 1, sharex=True)
        steps = range(1, len(batches) + 1)
        upper.plot(steps, [float(row["lr"]) for row in batches])
        upper.set(ylabel="learning rate (head)")
        lower.plot(steps, [float(row["mom"]) for row in batches], color=OKABE_ITO[1])
        lower.set(xlabel="training batches", ylabel="momentum")
        _mark_stages(upper, run)
        _mark_stages(lower, run, named=False)
        set_title(figure, f"{shown_name(run.name)}: one-cycle schedule of learning rate and momentum")
    return figure


def metrics(run: Run) -> Figure:
    """Every validation metric after each epoch."""
    history = run.history
    names = [name for name in history[0] if name not in (*BEFORE_METRICS, *AFTER_METRICS)]
    epochs = np.arange(1, len(history) + 1)
    figures = np.array([[float(row[name]) for name in names] for row in history])
    shown = [place for place, name in enumerate(names) if _is_share(name, figures[:, place])]
    panels = [
        (shown, "share, from 0 to 1"),
        ([place for place in range(len(names)) if place not in shown], None),
    ]
    panels = [panel for panel in panels if panel[0]] or [([], "no metrics")]
    with plot_style():
        figure = new_figure(WIDTH, 1.6 + 3.4 * len(panels))
        for axes, (places, label) in zip(
            figure.subplots(len(panels), sharex=True, squeeze=False).flat, panels
        ):
            for place in places:
                values = figures[:, place]
                text = f"{shown_name(names[place])}, last {values[-1]:.4f}"
                color, marker = OKABE_ITO[place % len(OKABE_ITO)], _MARKERS[place % len(_MARKERS)]
                axes.plot(epochs, values, marker=marker, color=color, label=text)
            highest = figures[:, places].max(initial=0.0, where=np.isfinite(figures[:, places]))
            axes.set_ylim(*((-0.02, 1.02) if label else (0, min(1.05 * highest, 1e300) or 1)))
            in_pixels = all("pixel" in names[place] for place in places)
            axes.set_ylabel(label or ("error in pixels of the image" if in_pixels else "value"))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        set_title(figure, f"{shown_name(run.name)}: validation metrics after each epoch")
        legend_below(figure)
    return figure


def _is_share(name: str, values: np.ndarray) -> bool:
    """Whether a metric's values are shares; errors of points are counted in pixels, however small."""
    return name != PIXELS and bool(np.all(~np.isfinite(values) | (np.abs(values) <= 1)))


def rate_curve(test: RateTest, title: str) -> Figure:
    """Loss over learning rate, with the suggestions marked."""
    with plot_style():
        figure = new_figure(WIDTH, 5)
        axes = figure.add_subplot()
        axes.plot(test.rates, test.losses, color=OKABE_ITO[0])
        for color, (name, rate) in enumerate(test.suggestions.items(), start=1):
            loss = float(np.interp(rate, test.rates, test.losses))
            size = 14 - 3 * color  # suggestions may be the same
            axes.plot(rate, loss, "o", color=OKABE_ITO[color], markersize=size, label=f"{name}: {rate:.2e}")
        losses = np.asarray(test.losses)
        lowest, highest = losses.min(), losses[: losses.argmin() + 1].max()
        room = 0.1 * (highest - lowest) + 1e-3
        rises = losses.max() > highest + room
        axes.set(
            xscale="log", xlabel="learning rate", ylim=(lowest - room, highest + room),
            ylabel="training loss, smoothed" + (" (its rise is cut off)" if rises else ""),
        )  # fmt: skip
        set_title(figure, title)
        legend_below(figure)
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
                fontsize=FONT_SIZE,
                va="top",
                color="#666666",
            )
