"""Intervals: against scipy's bootstrap, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import bootstrap

from visionkit.evaluation.bootstrap import class_mean, figures_of, resampled, share


def mean_of(values: np.ndarray) -> object:
    def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"mean": weights @ values / weights.sum(axis=1)}

    return statistics


def test_the_interval_of_a_mean_is_about_that_of_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=200)
    found = figures_of(mean_of(values), 200, draws=4000)["mean"]
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert float(found.low) == pytest.approx(theirs.low, abs=0.02)
    assert float(found.high) == pytest.approx(theirs.high, abs=0.02)


def test_about_95_of_100_intervals_hold_the_truth() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        right = (generator.random(150) < 0.8).astype(float)
        found = figures_of(mean_of(right), 150, draws=300)["mean"]
        hits += bool(found.low <= 0.8 <= found.high)
    assert 180 <= hits <= 199


@pytest.mark.parametrize("images", [1, 7, 5000])
def test_draws_are_complete_and_repeatable(images: int) -> None:
    draws = np.concatenate(list(resampled(images, 20, seed=3)))
    assert draws.shape == (20, images) and (draws.sum(axis=1) == images).all()
    assert np.array_equal(draws, np.concatenate(list(resampled(images, 20, seed=3))))


def test_draws_without_a_value_are_left_out_and_nothing_becomes_none() -> None:
    present = np.zeros(3)
    present[0] = 1

    def statistics(weights: np.ndarray) -> Mapping[str, np.ndarray]:
        count = weights @ present
        ratio = np.divide(2 * count, count, out=np.full(len(count), np.nan), where=count > 0)
        return {"rare": ratio, "absent": np.full(len(weights), np.nan)}

    found = figures_of(statistics, 3)
    assert found["rare"].as_json() == {"value": 2, "low": 2, "high": 2}
    assert found["absent"].as_json() == {"value": None, "low": None, "high": None}


def test_shares_and_means() -> None:
    assert share(np.array([1.0, 2.0, 0.0]), np.array([2.0, 0.0, 0.0])).tolist() == [0.5, 0, 0]
    whole = np.array([[1.0, 3.0, np.nan]])
    draws = np.array([[2.0, 6.0, np.nan], [np.nan, 6.0, np.nan]])
    assert class_mean(draws, whole).tolist() == [4, 3.5], "a class that a draw lacks keeps its value"
    assert np.isnan(class_mean(whole[:, 2:], whole[:, 2:])).all()
