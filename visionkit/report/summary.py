"""The head of a report: what was trained, how good it is, how to use it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionkit.progress import duration
from visionkit.report.charts import short
from visionkit.runs import Run
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.evaluation.bootstrap import Figure
    from visionkit.evaluation.scores import ClassTable, Scores

METRIC_NAMES = {
    "f2": "F2",
    "f1": "F1",
    "ap": "AP",
    "iou": "IoU",
    "mean_iou": "mean IoU",
    "macro_f1": "macro F1",
    "boundary_f1": "boundary F1",
    "mean_boundary_f1": "mean boundary F1",
    "f2_expected": "F2 of the sets with the greatest expected F2",
    "accuracy_multi": "accuracy over tags",
}


@dataclass(frozen=True)
class Value:
    """A figure with its 95 % interval, which is empty where it is not known."""

    name: str
    value: str
    interval: str
    number: float


@dataclass(frozen=True)
class ClassRows:
    """The figures of every class: heads, and cells with the number that they are sorted by."""

    kind: str
    heads: list[str]
    rows: list[list[tuple[str, float | None]]]
    names: list[str]


def metric_name(name: str) -> str:
    """What a figure is called in a page."""
    return METRIC_NAMES.get(name, visible(name).replace("_", " "))


def figure_text(number: float) -> str:
    """A figure of a metric: four digits, or two above 10."""
    if not math.isfinite(number):
        return "not known"
    return f"{number:,.4f}" if abs(number) < 10 else f"{number:,.2f}"


def values_of(scores: Scores) -> list[Value]:
    """The figures of an evaluation."""
    return [_value(name, figure) for name, figure in scores.figures.items()]


def recorded_values(metrics: Mapping[str, float]) -> list[Value]:
    """The figures that run.json has, without intervals."""
    return [Value(metric_name(name), figure_text(number), "", number) for name, number in metrics.items()]


def headline_of(run: Run, scores: Scores | None) -> Value | None:
    """The figure that runs of this task are compared by; None where there is none yet."""
    name = str(run.info.get("headline", ""))
    if scores is not None and name in scores.figures:
        return _value(name, scores.figures[name])
    number = run.metrics.get(name)
    return None if number is None else Value(metric_name(name), figure_text(number), "", number)


def as_trained(run: Run, headline: Value | None) -> str:
    """The headline as the training's own validation found it, where a reader would see that they differ."""
    number = run.metrics.get(str(run.info.get("headline", "")))
    text = "" if number is None else figure_text(number)
    return text if headline is not None and text != headline.value else ""


def class_rows(table: ClassTable) -> ClassRows:
    """The table of the classes; names come first."""
    heads = [*(metric_name(name) for name in table.counts), *(metric_name(name) for name in table.columns)]
    rows: list[list[tuple[str, float | None]]] = []
    for place in range(len(table.names)):
        counted = [(f"{values[place]:,}", float(values[place])) for values in table.counts.values()]
        rows.append([*counted, *(_cell(figure, place) for figure in table.columns.values())])
    return ClassRows(table.kind, heads, rows, [visible(name) for name in table.names])


def facts_of(run: Run) -> Iterator[tuple[str, str]]:
    """What a reader wants to know first, by name."""
    info: Mapping[str, Any] = run.info
    data, settings = info.get("data", {}), info.get("settings", {})
    yield "recipe", visible(info.get("recipe", ""))
    yield "task", visible(info.get("task", ""))
    yield "network", visible(settings.get("arch", ""))
    if "train" in data and "valid" in data:
        yield "images", f"{data['train']:,} for training, {data['valid']:,} for validation"
    sizes = list(dict.fromkeys(str(stage.get("size", "")) for stage in info.get("stages", [])))
    yield "size", " then ".join(f"{visible(size)} px" for size in sizes)
    if isinstance(info.get("seconds"), (int, float)):
        yield "time", duration(float(info["seconds"]))
    if isinstance(info.get("images_per_s"), (int, float)):
        yield "speed", f"{info['images_per_s']:,.1f} training images a second"
    if isinstance(info.get("wait_percent"), (int, float)):
        yield "wait for data", f"{info['wait_percent']:.1f} % of the training"
    yield "device", f"{visible(info.get('device', ''))}, {visible(info.get('precision', ''))}"
    yield "begun", visible(info.get("created", "")).replace("T", " ").replace("+00:00", " UTC")


def environment_of(run: Run) -> list[tuple[str, str]]:
    """Packages, machine and code, by name."""
    info = run.info
    found = [(name, version) for name, version in info.get("versions", {}).items()]
    found += [(name, value) for name, value in info.get("machine", {}).items()]
    found += [(name.replace("_", " "), info[name]) for name in ("git_commit", "code") if info.get(name)]
    if info.get("git_changed"):
        found.append(("git", "there were changes that are not committed"))
    return [(visible(name), visible(value)) for name, value in found]


def settings_of(run: Run) -> list[tuple[str, str]]:
    """Every setting as it was used."""
    return [
        (visible(name), setting_text(value)) for name, value in sorted(run.info.get("settings", {}).items())
    ]


def _value(name: str, figure: Figure) -> Value:
    number, low, high = (float(each) for each in (figure.value, figure.low, figure.high))
    interval = f"{figure_text(low)} to {figure_text(high)}" if math.isfinite(low + high) else ""
    return Value(metric_name(name), figure_text(number), interval, number)


def _cell(figure: Figure, place: int) -> tuple[str, float | None]:
    number = float(figure.value[place])
    return ("–", None) if not math.isfinite(number) else (figure_text(number), number)


def setting_text(value: Any) -> str:
    """A setting as a page shows it."""
    if value is None or value == "" or value == []:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(visible(each) for each in value)
    return short(value) if isinstance(value, float) else visible(value)
