"""The table of a training's classes equals scikit-learn's report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report

from visionkit.evaluation.class_report import REPORT_FILE, class_report, read_report, report_csv
from visionkit.evaluation.predictions import Predictions
from visionkit.reporting.classification import MOST_CLASSES, per_class


def predictions(pairs: list[tuple[int, int]], vocab: list[str]) -> Predictions:
    """Of images with truth and prediction in `pairs`."""
    truth, guess = np.array(pairs).T
    return Predictions("some", [], vocab, np.eye(len(vocab))[guess], truth, np.zeros(len(pairs)))


CLASS = st.integers(0, 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CLASS, CLASS), min_size=1, max_size=40))
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    vocab = ["accuracy", "macro avg", "b, c", "π"]
    truth, guess = zip(*pairs)
    wanted = classification_report(truth, guess, output_dict=True, zero_division=0)
    rows = class_report(predictions(pairs, vocab))
    assert [row.name for row in rows] == [*vocab, "macro average", "weighted average"]
    keys = ["0", "1", "2", "3", "macro avg", "weighted avg"]
    for key, row in zip(keys, rows):
        known = wanted.get(key, {"precision": 0, "recall": 0, "f1-score": 0, "support": 0})
        assert row[1:] == pytest.approx(
            (known["precision"], known["recall"], known["f1-score"], known["support"])
        )


def test_the_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    rows = class_report(predictions([(0, 0), (1, 0), (1, 1)], ["a, b", 'the "c"']))
    (tmp_path / REPORT_FILE).write_text(report_csv(rows), encoding="utf-8")
    back = read_report(tmp_path)
    assert [row.name for row in back] == [row.name for row in rows]
    assert np.array([row[1:] for row in back]) == pytest.approx(np.array([row[1:] for row in rows]), abs=5e-5)
    assert read_report(tmp_path / "elsewhere") == []


def test_the_plot_has_the_classes_told_worst_first() -> None:
    figure = per_class(predictions([(0, 0), (1, 0), (2, 2)], ["fair", "bad", "good"]))
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["bad (1)", "fair (1)", "good (1)"]
    many = MOST_CLASSES + 5
    figure = per_class(
        predictions([(0, 1), *((each, each) for each in range(many))], [f"c{n}" for n in range(many)])
    )
    assert len(figure.axes[0].get_yticklabels()) == MOST_CLASSES
    assert f"{MOST_CLASSES} of {many}" in figure.get_suptitle()
