"""Two runs' figures beside each other, to the last digit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionkit.runs import Run
from visionkit.training.outcome import compare_runs

METRICS = st.dictionaries(st.sampled_from(["accuracy", "f2", "mean_iou"]), st.floats(), min_size=1)


def written(folder: Path, metrics: dict[str, float], history: str = "", weights: bytes | None = None) -> Run:
    """A run folder with these figures, read back."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"name": folder.name, "metrics": metrics}))
    if history:
        (folder / "history.csv").write_text(history)
    if weights is not None:
        (folder / "model/model.safetensors").write_bytes(weights)
    return Run.read(folder)


@given(metrics=METRICS)
def test_any_figures_are_identical_to_themselves(
    tmp_path_factory: pytest.TempPathFactory, metrics: dict[str, float]
) -> None:
    """Infinite ones and NaN too, after they were written and read."""
    folder = tmp_path_factory.mktemp("runs")
    outcome = compare_runs(written(folder / "a", metrics), written(folder / "b", metrics))
    assert outcome.identical and outcome.figures == ()


@given(metrics=METRICS, data=st.data())
def test_the_next_number_is_another(
    tmp_path_factory: pytest.TempPathFactory, metrics: dict[str, float], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    name = data.draw(st.sampled_from(sorted(metrics)))
    value = metrics[name]
    other = {**metrics, name: 0.5 if math.isnan(value) else math.nextafter(value, 0.25)}
    outcome = compare_runs(written(folder / "a", metrics), written(folder / "b", other))
    changed = value != 0.25
    assert outcome.identical is not changed
    assert [each.figure for each in outcome.figures] == ([name] if changed else [])


def test_epochs_are_compared_without_their_times(tmp_path: Path) -> None:
    head = "stage,size,epoch,lr,train_loss,valid_loss,seconds,images_per_s,wait_percent\n"
    then = written(
        tmp_path / "a",
        {"f2": 0.5},
        head + "1,32,1,1,1,0.500000,1.0,9,0.1\n1,32,2,1,1,0.400000,1.0,9,0.1\n",
    )
    slower = written(
        tmp_path / "b",
        {"f2": 0.5},
        head + "1,32,1,1,1,0.500000,7.0,2,20.0\n1,32,2,1,1,0.400000,1.0,9,0.1\n",
    )
    assert compare_runs(then, slower).identical
    other = written(
        tmp_path / "c",
        {"f2": 0.5},
        head + "1,32,1,1,1,0.500000,1.0,9,0.1\n1,32,2,1,1,0.400001,1.0,9,0.1\n",
    )
    outcome = compare_runs(then, other)
    (deviation,) = outcome.epochs
    assert deviation.figure == "stage 1, epoch 2: valid_loss" and not outcome.identical
    assert deviation.difference == pytest.approx(1e-6)
    shorter = written(tmp_path / "d", {"f2": 0.5}, head + "1,32,1,1,1,0.500000,1.0,9,0.1\n")
    assert {each.figure for each in compare_runs(then, shorter).epochs} == {
        f"stage 1, epoch 2: {name}" for name in ("stage", "size", "epoch", "lr", "train_loss", "valid_loss")
    }
    assert not compare_runs(shorter, then).identical
    assert compare_runs(written(tmp_path / "e", {"f2": 0.5}), then).compared == 0


def test_weights_count(tmp_path: Path) -> None:
    then = written(tmp_path / "a", {"f2": 0.5}, weights=b"1234")
    assert compare_runs(then, written(tmp_path / "b", {"f2": 0.5}, weights=b"1234")).same_weights is True
    other = compare_runs(then, written(tmp_path / "c", {"f2": 0.5}, weights=b"1235"))
    assert other.same_weights is False and not other.identical and not other.figures
    without = compare_runs(then, written(tmp_path / "d", {"f2": 0.5}))
    assert without.same_weights is None and without.identical
