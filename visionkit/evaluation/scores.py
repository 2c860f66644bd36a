"""What an evaluation finds: figures of the whole, and a table with a row for every class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionkit.evaluation.bootstrap import Figure


@dataclass(frozen=True)
class ClassTable:
    """A row for every class, tag, code or point.

    Args:
        kind: what a row is about, such as "class".
        names: of the rows.
        columns: figures with intervals, of shape (rows,).
        counts: plain numbers, of the same shape.
    """

    kind: str
    names: list[str]
    columns: Mapping[str, Figure]
    counts: Mapping[str, np.ndarray]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row with its name, its counts, and of each figure the value, `NAME_low` and `NAME_high`."""
        for place, name in enumerate(self.names):
            row: dict[str, Any] = {self.kind: name}
            row |= {column: values[place].item() for column, values in self.counts.items()}
            for column, figure in self.columns.items():
                for ending, values in (("", figure.value), ("_low", figure.low), ("_high", figure.high)):
                    row[column + ending] = float(values[place]) if np.isfinite(values[place]) else None
            yield row


@dataclass(frozen=True)
class Scores:
    """The figures by name, each of one value, in the order in which they are shown; and the table."""

    figures: Mapping[str, Figure]
    table: ClassTable

    def as_json(self) -> dict[str, Any]:
        """The figures by name, with value, low and high."""
        return {name: figure.as_json() for name, figure in self.figures.items()}
