"""The three recipes on real photos, satellite chips and street scenes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import REAL_DATA, Cli

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real images are not there ({REAL_DATA})"),
]
SQUEEZENET = ["--arch", "squeezenet1_0", "--weights", REAL_DATA / "weights" / "squeezenet1_0.pth"]


def train(cli: Cli, recipe: str, *options: object) -> dict[str, float]:
    result = cli(recipe, "--data", REAL_DATA / recipe, *options, "--out", "run")
    assert result.exit_code == 0, result.output
    metrics: dict[str, float] = json.loads(Path("run/run.json").read_text())["metrics"]
    return metrics


@pytest.mark.slow
def test_planet_with_progressive_resizing(cli: Cli) -> None:
    """Always saying the five most frequent tags gives an F2 of 0.70 on these chips."""
    sizes = ["--size", 64, "--then", 96, "--freeze-epochs", "4,1", "--epochs", "2,2", "--bs", 32]
    metrics = train(cli, "planet", *SQUEEZENET, *sizes)
    assert metrics["f2"] > 0.78
    assert metrics["accuracy_multi"] > 0.85


@pytest.mark.slow
def test_pets(cli: Cli) -> None:
    """37 breeds with eight photos each to learn from: guessing is wrong for 97 % of the photos."""
    sizes = ["--size", 96, "--freeze-epochs", 8, "--epochs", 4, "--bs", 32, "--lr", 0.005]
    assert train(cli, "pets", *SQUEEZENET, *sizes)["error_rate"] < 0.7


@pytest.mark.slow
def test_camvid(cli: Cli) -> None:
    """The most frequent code, Road, covers 32 % of the pixels."""
    sizes = ["--size", 40, "--then", "", "--freeze-epochs", 1, "--epochs", 3, "--lr", 0.004, "--workers", 0]
    metrics = train(cli, "camvid", *SQUEEZENET, *sizes)
    assert metrics["pixel_accuracy"] > 0.6
    assert metrics["mean_iou"] > 0.18
