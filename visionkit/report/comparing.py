"""Several runs side by side: one page with their figures, what they were trained with, and their curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.atomic import write_atomically
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.progress import duration
from visionkit.report.charts import Chart, Line, chart, short
from visionkit.report.rendering import rendered
from visionkit.report.summary import figure_text, metric_name, setting_text
from visionkit.report.training import metric_names, numbers
from visionkit.runs import Run
from visionkit.visible import visible

MOST_RUNS = 8
"""That a chart can tell apart."""


@dataclass(frozen=True)
class Row:
    """A line of the comparison: its name, and a text for each run, where they differ or not."""

    name: str
    cells: list[str]
    best: int | None = None
    """The place of the best run, for figures."""

    @property
    def differs(self) -> bool:
        return len(set(self.cells)) > 1


@dataclass(frozen=True)
class Comparison:
    """What there is to see of several runs."""

    runs: list[Run]
    facts: list[Row]
    figures: list[Row]
    settings: list[Row]
    """Those that differ."""
    data: list[Row]
    """What differs in data, code and packages."""
    charts: list[Chart]


def compare(runs: Sequence[Run]) -> Comparison:
    """Put `runs` beside each other, in the order given.

    Raises:
        UsageError: there are fewer than two, more than eight, or one is named twice.
        VisionkitError: a file of a run is damaged.
    """
    paths = [run.path.resolve() for run in runs]
    if not 2 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"{len(runs)} run{'' if len(runs) == 1 else 's'}: name 2 to {MOST_RUNS} to compare.")
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(f"{path}: is named twice.")
    return Comparison(
        list(runs), _facts(runs), _figures(runs), _settings(runs), _surroundings(runs), _charts(runs)
    )


def write_comparison(runs: Sequence[Run], out: Path) -> Comparison:
    """Write the page that compares `runs` to `out`, whole or not at all.

    Raises:
        UsageError: as `compare`.
        VisionkitError: a file of a run is damaged, or the page cannot be written.
    """
    found = compare(runs)
    script_data = {"charts": {each.name: each.data for each in found.charts}, "cells": {}, "pictures": {}}
    try:
        write_atomically(out, rendered("compare.html", found=found, script_data=script_data))
    except OSError as error:
        raise cannot_write(out, error) from error
    return found


def _facts(runs: Sequence[Run]) -> list[Row]:
    def row(name: str, of: Any) -> Row:
        return Row(name, [visible(of(run.info)) for run in runs])

    return [
        row("recipe", lambda info: info.get("recipe", "")),
        row("status", lambda info: info.get("status", "")),
        row("network", lambda info: info.get("settings", {}).get("arch", "")),
        row("sizes", _sizes),
        row("epochs", lambda info: sum(int(stage.get("epochs", 0)) for stage in info.get("stages", []))),
        row("time", lambda info: duration(float(info["seconds"])) if info.get("seconds") else ""),
        row("images a second", lambda info: short(float(info.get("images_per_s") or 0))),
        row("device", lambda info: f"{info.get('device', '')}, {info.get('precision', '')}"),
        row("begun", lambda info: str(info.get("created", ""))[:19].replace("T", " ")),
    ]


def _sizes(info: dict[str, Any]) -> str:
    return " then ".join(dict.fromkeys(f"{stage.get('size')} px" for stage in info.get("stages", [])))


def _figures(runs: Sequence[Run]) -> list[Row]:
    """The metrics, the headline first; which run is best is told of the headline only."""
    headline = str(runs[0].info.get("headline", ""))
    names = list(dict.fromkeys([headline, *(name for run in runs for name in run.metrics)]))
    rows = []
    for name in names:
        values = [run.metrics.get(name) for run in runs]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = None
        if name == headline and len(set(known)) > 1:
            lower = bool(runs[0].info.get("headline_lower_is_better"))
            best = values.index(min(known) if lower else max(known))
        cells = ["" if value is None else figure_text(value) for value in values]
        rows.append(Row(metric_name(name), cells, best))
    return rows


def _settings(runs: Sequence[Run]) -> list[Row]:
    names = sorted({name for run in runs for name in run.info.get("settings", {})})
    rows = [
        Row(visible(name), [setting_text(run.info.get("settings", {}).get(name)) for run in runs])
        for name in names
    ]
    return [row for row in rows if row.differs]


def _surroundings(runs: Sequence[Run]) -> list[Row]:
    def flat(info: dict[str, Any]) -> dict[str, str]:
        data = info.get("data", {})
        found = {f"data: {name}": data.get(name) for name in ("path", "train", "valid", "fingerprint")}
        found |= {f"package: {name}": value for name, value in info.get("versions", {}).items()}
        found |= {f"machine: {name}": value for name, value in info.get("machine", {}).items()}
        found |= {"git commit": info.get("git_commit"), "code": info.get("code")}
        return {name: "" if value is None else visible(value) for name, value in found.items()}

    each = [flat(run.info) for run in runs]
    names = list(dict.fromkeys(name for found in each for name in found))
    rows = [Row(name, [found.get(name, "") for found in each]) for name in names]
    return [row for row in rows if row.differs]


def _charts(runs: Sequence[Run]) -> list[Chart]:
    """The validation loss, and each metric that all of them have, by epoch."""
    histories = [run.history for run in runs]
    if not all(histories):
        return []
    shared = [name for name in metric_names(histories[0]) if all(name in history[0] for history in histories)]
    charts = [
        chart(
            visible(name),
            "Validation loss" if name == "valid_loss" else metric_name(name),
            [
                Line(visible(run.name), range(1, len(history) + 1), numbers(history, name), color)
                for color, (run, history) in enumerate(zip(runs, histories))
            ],
            x_label="epochs",
            y_label="loss" if name == "valid_loss" else metric_name(name),
            whole=True,
            from_zero=False,
        )
        for name in ("valid_loss", *shared)
    ]
    return [each for each in charts if each is not None]
