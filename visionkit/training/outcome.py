"""How the figures of two trainings compare, to the last digit."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path
from typing import Any

from visionkit.errors import VisionkitError
from visionkit.inference.bundle import WEIGHTS_FILE
from visionkit.runs import HISTORY_FILE, Run

UNCOMPARED = ("seconds", "images_per_s", "wait_percent")


@dataclass(frozen=True)
class Deviation:
    """A figure that came out otherwise.

    Args:
        figure: such as "accuracy", or "stage 1, epoch 2: valid_loss".
        then: as the first run wrote it; empty where it has none.
        now: as the second did.
    """

    figure: str
    then: str
    now: str

    @property
    def difference(self) -> float | None:
        """Now less then; None where one of them is no number."""
        try:
            return float(self.now) - float(self.then)
        except ValueError:
            return None


@dataclass(frozen=True)
class Outcome:
    """What two runs of the same training have in common.

    Args:
        figures: final metrics that differ.
        epochs: figures of history.csv that differ, in order.
        same_weights: whether the trained weights are the same, bit for bit; None where a run has none.
        compared: how many epochs there were to compare; 0 where the first run has no history.
    """

    figures: tuple[Deviation, ...]
    epochs: tuple[Deviation, ...]
    same_weights: bool | None
    compared: int

    @property
    def identical(self) -> bool:
        """Whether no figure differs, not even in its last digit, and no weight."""
        return not self.figures and not self.epochs and self.same_weights is not False

    def as_json(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "identical": self.identical,
            "same_weights": self.same_weights,
            "differing_metrics": [each.figure for each in self.figures],
            "differing_epochs": len({each.figure.partition(":")[0] for each in self.epochs}),
        }


def compare_runs(then: Run, now: Run) -> Outcome:
    """Compare all final metrics, the epochs in history.csv but for their times, and the weights.

    Raises:
        VisionkitError: a history.csv cannot be read.
    """
    rows = read_epochs(then)
    return Outcome(
        tuple(_deviations("", _texts(then.info["metrics"]), _texts(now.info["metrics"]))),
        tuple(_epoch_deviations(rows, read_epochs(now))) if rows else (),
        _same_weights(then.path, now.path),
        len(rows),
    )


def read_epochs(run: Run) -> list[dict[str, str]]:
    """The rows of history.csv without times. Raises VisionkitError where it is damaged."""
    try:
        rows = run.history
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VisionkitError(f"{run.path / HISTORY_FILE}: cannot be read ({error}).") from error
    return [{str(name): str(value) for name, value in row.items() if name not in UNCOMPARED} for row in rows]


def _texts(metrics: dict[str, float]) -> dict[str, str]:
    """Figures as text that tells any two of them apart, and NaN equal to itself."""
    return {name: repr(float(value)) for name, value in metrics.items()}


def _deviations(where: str, then: dict[str, str], now: dict[str, str]) -> list[Deviation]:
    return [
        Deviation(where + name, then.get(name, ""), now.get(name, ""))
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]


def _epoch_deviations(then: list[dict[str, str]], now: list[dict[str, str]]) -> list[Deviation]:
    found: list[Deviation] = []
    for index in range(max(len(then), len(now))):
        old, new = (rows[index] if index < len(rows) else {} for rows in (then, now))
        named = old or new
        where = f"stage {named.get('stage', '?')}, epoch {named.get('epoch', '?')}: "
        found += _deviations(where, old, new)
    return found


def _same_weights(then: Path, now: Path) -> bool | None:
    old, new = (folder / "model" / WEIGHTS_FILE for folder in (then, now))
    return cmp(old, new, shallow=False) if old.is_file() and new.is_file() else None
