"""`visionkit compare`: several runs side by side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Cli, train_fast

from visionkit.errors import UsageError
from visionkit.report.comparing import compare
from visionkit.runs import Run

pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture
def two(cli: Cli, pets: Path) -> list[Run]:
    """Two runs that differ in seed and rate, and one that never finished an epoch."""
    for name, options in (("first", ["--seed", 1]), ("second", ["--seed", 2, "--lr", 0.001])):
        assert train_fast(cli, "pets", pets, *options, "--out", name).exit_code == 0
    return [Run.read(Path(name)) for name in ("first", "second")]


def test_results_and_what_differs(cli: Cli, two: list[Run]) -> None:
    done = cli("compare", "first", "second")
    assert done.exit_code == 0, done.output
    for word in ("first", "second", "lr", "seed", "accuracy", "compare.html"):
        assert word in done.output
    text = Path("compare.html").read_text()
    for run in two:
        assert f"{run.metrics['accuracy']:.4f}" in text
    assert "http" not in text.replace("http-equiv", "") and 'data-chart="valid_loss"' in text
    found = compare(two)
    assert {row.name for row in found.settings} == {"seed", "lr"}
    assert not found.data, "same data, packages and machine"


def test_the_best_is_marked_by_the_headline_only(two: list[Run]) -> None:
    two[0].info["metrics"] = {"accuracy": 0.5, "error_rate": 0.5}
    two[1].info["metrics"] = {"accuracy": 0.75, "error_rate": 0.25}
    rows = {row.name: row for row in compare(two).figures}
    headline = two[0].info["headline"]
    assert rows[headline.replace("_", " ")].best == 1
    assert all(row.best is None for name, row in rows.items() if name != headline.replace("_", " "))
    two[1].info["metrics"] = {"accuracy": 0.5, "error_rate": 0.5}
    assert all(row.best is None for row in compare(two).figures), "none is better"


def test_a_run_without_an_epoch(cli: Cli, two: list[Run]) -> None:
    shutil.copytree("first", "third")
    for file in ("history.csv", "batches.csv"):
        Path("third", file).unlink()
    info = json.loads(Path("third/run.json").read_text())
    Path("third/run.json").write_text(
        json.dumps({**info, "name": "third", "status": "failed", "metrics": {}})
    )
    done = cli("compare", "first", "third", "--out", "page.html")
    assert done.exit_code == 0 and "failed" in done.output, done.output
    assert "data-chart" not in Path("page.html").read_text()


def test_what_cannot_be_compared(cli: Cli, two: list[Run]) -> None:
    with pytest.raises(UsageError, match="name 2 to 8"):
        compare(two[:1])
    with pytest.raises(UsageError, match="twice"):
        compare([two[0], two[0]])
    refused = cli("compare", "first", "nothing")
    assert refused.exit_code == 2 and not Path("compare.html").exists()
