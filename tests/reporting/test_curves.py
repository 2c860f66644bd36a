"""Curves over a training: axes that show what matters, with what they count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from reporting.looking import assert_readable

from visionkit.reporting import curves
from visionkit.training.rates import RateTest


def run(losses: Sequence[float], epochs: int = 4, **metrics: float) -> Any:
    """A run of one stage; what a Run has of its files."""
    batches = [{"stage": "1", "loss": str(loss), "lr": "0.001", "mom": "0.9"} for loss in losses]
    per_epoch = np.array_split(np.array(losses), epochs)
    history = [
        {
            "stage": "1", "size": "64", "epoch": str(number), "lr": "0.001", "train_loss": str(part.mean()),
            "valid_loss": str(part[-1]), **{name: str(value) for name, value in metrics.items()},
            "seconds": "1", "images_per_s": "9",
        }
        for number, part in enumerate(per_epoch, start=1)
    ]  # fmt: skip
    return SimpleNamespace(
        name="a run of 5$ and $x_1$", path=Path("run"), info={"stages": []}, batches=batches, history=history
    )


def shown_losses(losses: Sequence[float]) -> tuple[Figure, float]:
    figure = curves.losses(run(losses))
    assert_readable(figure)
    return figure, figure.axes[0].get_ylim()[1]


def test_a_few_runaway_losses_do_not_squeeze_the_others() -> None:
    steady = list(np.linspace(3, 1, 400))
    figure, top = shown_losses([300.0, 250.0, 100.0, *steady])
    assert 3 <= top < 15
    assert 0 < figure.axes[0].get_ylim()[0] <= 1
    label = figure.axes[0].get_ylabel()
    assert f"cut off at {top:.3g}" in label and "highest 300" in label


@pytest.mark.parametrize("first", [4.6, 3.0])
def test_usual_losses_are_shown_whole(first: float) -> None:
    losses = list(first * np.exp(-np.linspace(0, 3, 300)))
    figure, top = shown_losses(losses)
    assert top >= first and figure.axes[0].get_ylabel() == "loss"


@pytest.mark.parametrize("loss", [0.0, 1e-9, 1e30])
def test_odd_losses(loss: float) -> None:
    assert_readable(curves.losses(run([loss] * 8)))
    assert_readable(curves.schedule(run([loss] * 8)))


@pytest.mark.parametrize(
    ("metrics", "labels"),
    [
        ({"accuracy": 0.5, "error_rate": 0.5}, ["share, from 0 to 1"]),
        ({"pixel_error": 25.0}, ["error in pixels of the image"]),
        ({"pixel_error": 0.25}, ["error in pixels of the image"]),
        ({"accuracy": 0.5, "pixel_error": 25.0}, ["share, from 0 to 1", "error in pixels of the image"]),
        ({"perplexity": 12.0}, ["value"]),
        ({f"metric {number}": 0.1 for number in range(12)}, ["share, from 0 to 1"]),
        ({}, ["no metrics"]),
    ],
)
def test_metrics_say_what_they_count(metrics: dict[str, float], labels: list[str]) -> None:
    figure = curves.metrics(run([1.0] * 8, **metrics))
    if metrics:
        assert_readable(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == labels
    assert figure.axes[-1].get_xlabel() == "epoch"
    assert sum(len(axes.lines) for axes in figure.axes) == len(metrics)


def test_the_search_of_rates_has_powers_of_ten_and_its_lowest_loss() -> None:
    rates = np.geomspace(1e-7, 10, 80)
    losses = 3 - 2 * np.exp(-((np.log10(rates) + 2) ** 2)) + 1e4 * (rates > 1)
    test = RateTest(list(rates), list(losses), valley=2e-3, steep=3e-4, minimum=1e-3)
    figure = curves.rate_curve(test, "pets: learning-rate search")
    assert_readable(figure)
    axes = figure.axes[0]
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    assert labels and all(label.get_parse_math() and "10^{" in label.get_text() for label in labels)
    low, high = axes.get_ylim()
    assert low < losses.min() and 3 < high < 4 and "cut off" in axes.get_ylabel()
    names = {text.get_text().split(":")[0] for text in figure.legends[0].get_texts()}
    assert names == set(test.suggestions)
