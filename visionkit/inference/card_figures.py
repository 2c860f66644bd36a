"""The figures of a model card: those of evaluations, with their intervals, else those of the training."""

from __future__ import annotations

import math
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from visionkit.inference.description import Description
from visionkit.run_files import is_file_name

MOST_CLASSES = 20
MAX_FILE = 1 << 26


@with_config(ConfigDict(extra="allow"))
class _Metrics(TypedDict):
    """What a card takes from the metrics.json of an evaluation."""

    images: int
    figures: dict[str, dict[str, float | None]]
    per_class: NotRequired[list[dict[str, float | int | str | None]] | None]


_METRICS = TypeAdapter(_Metrics)
PARTS = {"valid": "validation", "test": "test", "train": "training"}
ORDER = ["test", "validation", "training"]


@dataclass(frozen=True)
class Evaluated:
    """One evaluation that holds for the model as it is now.

    Args:
        part: what it was on: "validation", "test" or "training", or the name of a folder.
        own: whether the images are of the data set that the model was trained on.
        images: how many.
        figures: name, value and interval; None where one is not a number.
        per_class: the rows of its table.
    """

    part: str
    own: bool
    images: int
    figures: dict[str, tuple[float, float | None, float | None]]
    per_class: list[dict[str, Any]]

    @property
    def heading(self) -> str:
        """A line that says what the figures are of."""
        which = f"{self.part} images" if self.own else f"images of another folder, {self.part}"
        seen = ", which it has learnt from" if self.own and self.part == "training" else ""
        return f"On {self.images:,} {which}{seen}, with 95 % intervals by the bootstrap over images:"

    @property
    def comparable(self) -> bool:
        """Whether the figures are of images of the data set that the model has not learnt from."""
        return self.own and self.part != "training"

    @property
    def rows(self) -> list[list[str]]:
        """A row of text for each figure."""
        return [
            [name, f"{value:.4f}", "" if low is None or high is None else f"{low:.4f} to {high:.4f}"]
            for name, (value, low, high) in self.figures.items()
        ]


@dataclass(frozen=True)
class ClassRows:
    """A short table with a row for each class, tag, code or point.

    Args:
        heading: a line above it.
        columns: its header.
        rows: as text.
    """

    heading: str
    columns: list[str]
    rows: list[list[str]]


def evaluations_of(
    folder: Path, info: dict[str, Any], description: Description
) -> tuple[list[Evaluated], int]:
    """The last evaluation on each part, test images first; and how many hold no longer.

    Those are left out that were made with other thresholds, another decision or another temperature than the
    model has now.

    Args:
        folder: the run's.
        info: its run.json.
        description: of the model.
    """
    found: dict[tuple[str, bool], Evaluated] = {}
    stale: set[tuple[str, bool]] = set()
    now = description.model_dump(include={"thresholds", "decision", "temperature"}, mode="json")
    for name in info.get("evaluations") or {}:
        told = _metrics(folder / "evaluation" / name / "metrics.json") if is_file_name(name) else None
        if told is None:
            continue
        own, part = bool(told.get("own_data")), str(told.get("on"))
        part = PARTS.get(part, part) if own else part
        then = {key: told.get(key) for key in now}
        if description.task != "multi-label":
            then["decision"] = now["decision"]
        if then != now:
            stale.add((part, own))
            continue
        stale.discard((part, own))
        found[part, own] = Evaluated(
            part, own, told["images"], _figures(told["figures"]), told.get("per_class") or []
        )
    rank = {(part, True): place for place, part in enumerate(ORDER)}
    ordered = sorted(found.values(), key=lambda each: rank.get((each.part, each.own), len(rank)))
    return ordered, len(stale - found.keys())


def class_rows(rows: Sequence[dict[str, Any]]) -> ClassRows | None:
    """The table of an evaluation; of many classes those where the first figure is lowest. None for none."""
    if not rows:
        return None
    kind, *names = [name for name in rows[0] if not name.endswith(("_low", "_high"))]
    main = next((name for name in names if f"{name}_low" in rows[0]), None)
    shown, heading = list(rows), f"For each {kind}:"
    if len(rows) > MOST_CLASSES and main is not None:
        figures = [_number(row.get(main)) for row in rows]
        order = sorted(range(len(rows)), key=lambda place: (math.isnan(figures[place]), figures[place]))
        shown = [rows[place] for place in order[:MOST_CLASSES]]
        heading = f"The {MOST_CLASSES} of {len(rows):,} with the lowest {main}:"
    return ClassRows(
        heading, [kind, *names], [[_cell(row.get(name)) for name in (kind, *names)] for row in shown]
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _figures(figures: dict[str, Any]) -> dict[str, tuple[float, float | None, float | None]]:
    return {
        name: (each["value"], each.get("low"), each.get("high"))
        for name, each in figures.items()
        if each.get("value") is not None
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _metrics(file: Path) -> dict[str, Any] | None:
    """What an evaluation wrote; None where it is gone or is something else."""
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_FILE:
            return None
        return dict(_METRICS.validate_json(file.read_bytes(), strict=True))
    except (OSError, ValueError):  # pydantic's errors are of the latter
        return None
