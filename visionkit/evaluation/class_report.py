"""Precision, recall and F1 of every class, as a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visionkit.csv_rows import csv_text
from visionkit.errors import VisionkitError

if TYPE_CHECKING:
    from visionkit.evaluation.predictions import Predictions

REPORT_FILE = "report.csv"
AVERAGES = ("macro average", "weighted average")
"""The plain mean over classes, and the mean in which each counts as often as it occurs."""


class Row(NamedTuple):
    """Figures of one class, or averages over all; `support` is how many images there are of it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_report(predictions: Predictions) -> list[Row]:
    """One row a class, in the order of the vocabulary, then the two averages.

    A class that is never predicted has precision 0, one without images recall 0. The averages are those of
    scikit-learn's `classification_report`: over the classes that occur as truth or as prediction.
    """
    from sklearn.metrics import precision_recall_fscore_support

    truth, guess = predictions.targets, predictions.probabilities.argmax(axis=1)
    classes = range(len(predictions.vocab))
    columns = precision_recall_fscore_support(truth, guess, labels=classes, zero_division=0)
    rows = [
        Row(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(predictions.vocab, *columns)
    ]
    for name in AVERAGES:
        kind = name.partition(" ")[0]
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth, guess, average=kind, zero_division=0
        )
        rows.append(Row(name, float(precision), float(recall), float(f1), len(truth)))
    return rows


def report_csv(rows: list[Row]) -> str:
    """The rows as CSV with a header; figures have four digits."""
    figures = [(row.name, *(f"{figure:.4f}" for figure in row[1:4]), row.support) for row in rows]
    return csv_text([("class", *Row._fields[1:]), *figures])


def read_report(run: Path) -> list[Row]:
    """The rows that the run in the folder `run` has; none where it has no such table.

    Raises:
        VisionkitError: it is damaged.
    """
    file = run / REPORT_FILE
    if not file.is_file():
        return []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return [
                Row(name, float(precision), float(recall), float(f1), int(support))
                for name, precision, recall, f1, support in list(csv.reader(lines))[1:]
            ]
    except (ValueError, csv.Error) as error:
        raise VisionkitError(f"{file}: damaged: it is not as visionkit wrote it ({error}).") from error
