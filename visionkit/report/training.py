"""How a run trained: charts over batches and epochs, its stages, and its time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionkit.report.charts import Chart, Line, chart, short
from visionkit.report.summary import metric_name
from visionkit.reporting.curves import epoch_ends, smoothed, upper_end
from visionkit.runs import AFTER_METRICS, BEFORE_METRICS, Run
from visionkit.visible import visible


@dataclass(frozen=True)
class Table:
    """Text in rows below heads; figures are set to the right."""

    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Training:
    """What there is to see of a training."""

    charts: list[Chart]
    speed: Chart | None
    stages: Table
    epochs: Table


def training_of(run: Run) -> Training:
    """Charts and tables of a run's training; without epochs, of its stages alone.

    Raises:
        VisionkitError: history.csv or batches.csv is damaged.
    """
    history, batches = run.history, run.batches
    stages = _stages(run)
    if not history:
        return Training([], None, stages, Table([], []))
    charts = [_losses(run, history, batches), _metrics(history), *_schedule(run, batches)]
    return Training([each for each in charts if each], _speed(history), stages, _epochs(history))


def metric_names(history: Sequence[dict[str, str]]) -> list[str]:
    """The task's metrics in history.csv."""
    return [name for name in history[0] if name not in (*BEFORE_METRICS, *AFTER_METRICS)]


def numbers(rows: Sequence[dict[str, str]], column: str) -> list[float]:
    """A column of a table; what is no number is not a number."""
    return [_number(row.get(column, "")) for row in rows]


def _losses(run: Run, history: list[dict[str, str]], batches: list[dict[str, str]]) -> Chart | None:
    ends, values = epoch_ends(run), smoothed(np.array(numbers(batches, "loss")))
    trained, validated = (numbers(history, column) for column in ("train_loss", "valid_loss"))
    lines = [
        Line("training, batch (smoothed)", range(1, len(batches) + 1), values.tolist(), 5, dots=False),
        Line("training, epoch", ends, trained, 0),
        Line("validation", ends, validated, 1),
    ]
    top, highest = upper_end(values, np.array([*values, *trained, *validated]))
    return chart(
        "losses",
        "Losses",
        lines,
        x_label="training batches",
        y_label="loss" if top is None else f"loss, cut off at {short(top)} (highest {short(highest)})",
        whole=True,
        top=top,
        marks=_starts(run, batches),
    )


def _metrics(history: list[dict[str, str]]) -> Chart | None:
    epochs = range(1, len(history) + 1)
    lines = [
        Line(metric_name(name), epochs, numbers(history, name), place)
        for place, name in enumerate(metric_names(history)[:8])
    ]
    return chart(
        "metrics",
        "Validation metrics",
        lines,
        x_label="epochs",
        y_label="metric",
        whole=True,
        marks=_epoch_starts(history),
    )


def _schedule(run: Run, batches: list[dict[str, str]]) -> list[Chart | None]:
    places, marks = range(1, len(batches) + 1), _starts(run, batches)
    return [
        chart(
            name,
            title,
            [Line(label, places, numbers(batches, column), color, dots=False)],
            x_label="training batches",
            y_label=label,
            whole=True,
            from_zero=from_zero,
            marks=marks,
        )
        for name, title, label, column, color, from_zero in (
            ("rates", "Learning rate of the head", "learning rate", "lr", 0, True),
            ("momentum", "Momentum", "momentum", "mom", 1, False),
        )
    ]


def _speed(history: list[dict[str, str]]) -> Chart | None:
    line = Line("images a second", range(1, len(history) + 1), numbers(history, "images_per_s"), 2)
    return chart(
        "speed",
        "Training images a second",
        [line],
        x_label="epochs",
        y_label="images a second",
        whole=True,
        marks=_epoch_starts(history),
    )


def _starts(run: Run, batches: list[dict[str, str]]) -> list[tuple[float, str]]:
    """Where stages begin, in batches, with their size; nothing where there is one only."""
    names = {str(stage["number"]): f"{stage['size']} px {stage['name']}" for stage in run.info["stages"]}
    starts: dict[str, int] = {}
    for place, row in enumerate(batches, start=1):
        starts.setdefault(row["stage"], place)
    if len(starts) < 2:
        return []
    return [(place, visible(names.get(stage, ""))) for stage, place in starts.items()]


def _epoch_starts(history: list[dict[str, str]]) -> list[tuple[float, str]]:
    starts: dict[str, tuple[float, str]] = {}
    for place, row in enumerate(history, start=1):
        starts.setdefault(row["stage"], (place, visible(f"{row['size']} px")))
    return list(starts.values()) if len(starts) > 1 else []


def _stages(run: Run) -> Table:
    rows = [
        [
            visible(stage.get("number", "")),
            visible(stage.get("name", "")),
            f"{stage.get('size', '')} px",
            visible(stage.get("epochs", "")),
            _rates(stage),
        ]
        for stage in run.info.get("stages", [])
    ]
    return Table(["stage", "what trains", "size", "epochs", "peak learning rate"], rows)


def _rates(stage: dict[str, Any]) -> str:
    """The head's peak rate, and that of the first layers where it is another."""
    rate, fraction = stage.get("lr"), stage.get("lr_mult", 1.0)
    if not isinstance(rate, (int, float)):
        return "found by a rate search"
    if not isinstance(fraction, (int, float)) or fraction <= 1:
        return short(rate)
    return f"{short(rate)}, first layers {short(rate / fraction)}"


def _epochs(history: list[dict[str, str]]) -> Table:
    heads = list(history[0])
    return Table(
        [visible(head).replace("_", " ") for head in heads],
        [[_cell(name, row.get(name, "")) for name in heads] for row in history],
    )


def _cell(name: str, text: str) -> str:
    value = _number(text)
    if name in ("stage", "size", "epoch") or math.isnan(value):
        return visible(text)
    if name in ("seconds", "images_per_s", "wait_percent"):
        return f"{value:,.1f}"
    return f"{value:.3g}" if name == "lr" else f"{value:.4f}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
