"""Calibration error as torchmetrics has it, and temperatures that are found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

from visionkit.evaluation.calibration import (
    BINS,
    at_temperature,
    calibration_error,
    fit_temperature,
    gaps,
    reliability,
    surprise,
)
from visionkit.evaluation.fitting import calibrate, moved
from visionkit.inference.decisions import tags_over


def labels(seed: int, images: int, classes: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Float32 logits, `sharpness` times those that the labels are drawn by, and the labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (images, classes))
    drawn = softmax(logits, axis=1).cumsum(axis=1) > generator.random((images, 1))
    return (sharpness * logits).astype(np.float32), drawn.argmax(axis=1)


def tags(seed: int, images: int, count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (images, count))
    there = generator.random((images, count)) < expit(logits)
    return (sharpness * logits).astype(np.float32), there.astype(int)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 7), st.floats(0.1, 20))
def test_the_error_of_labels_is_that_of_torchmetrics(
    seed: int, images: int, classes: int, sharpness: float
) -> None:
    logits, targets = labels(seed, images, classes, sharpness)
    probabilities = torch.tensor(logits).softmax(dim=1)
    theirs = MulticlassCalibrationError(classes, n_bins=BINS)(probabilities, torch.tensor(targets))
    assert calibration_error(probabilities.numpy(), targets) == pytest.approx(float(theirs), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 6), st.floats(0.1, 20))
def test_the_error_of_tags_is_that_of_torchmetrics(
    seed: int, images: int, count: int, sharpness: float
) -> None:
    logits, targets = tags(seed, images, count, sharpness)
    probabilities = torch.tensor(logits).sigmoid()
    theirs = BinaryCalibrationError(n_bins=BINS)(probabilities.ravel(), torch.tensor(targets).ravel())
    assert calibration_error(probabilities.numpy(), targets) == pytest.approx(float(theirs), abs=1e-6)


def test_certainty_has_a_bin_and_a_place_in_the_diagram() -> None:
    probabilities, targets = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32), np.array([0, 0])
    assert calibration_error(probabilities, targets) == pytest.approx(0.5)
    assert gaps(probabilities, targets).shape == (2, BINS + 1)
    bins = reliability(probabilities, targets)
    assert bins.counts.tolist() == [0] * (BINS - 1) + [2]
    assert bins.confidence[-1] == 1 and bins.right[-1] == 0.5
    assert np.isnan(bins.right[:-1]).all()


@pytest.mark.parametrize("make", [labels, tags])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(make: object, sharpness: float) -> None:
    logits, targets = make(1, 6000, 4, sharpness)
    assert fit_temperature(logits, targets) == pytest.approx(sharpness, rel=0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.floats(0.2, 5))
def test_no_other_temperature_is_likelier(seed: int, of_tags: bool, other: float) -> None:
    logits, targets = (tags if of_tags else labels)(seed, 40, 3, 2.0)
    best = fit_temperature(logits, targets)
    assert surprise(logits, targets, best) <= surprise(logits, targets, other) + 1e-9
    loss = torch.nn.BCEWithLogitsLoss() if of_tags else torch.nn.CrossEntropyLoss()
    truth = torch.tensor(targets, dtype=torch.float64 if of_tags else torch.long)
    theirs = loss(torch.tensor(logits, dtype=torch.float64) / best, truth)
    assert surprise(logits, targets, best) == pytest.approx(float(theirs))


def test_a_temperature_changes_no_answer_and_helps_images_that_it_was_not_fitted_on() -> None:
    logits, targets = labels(3, 2000, 5, 4.0)
    found = calibrate(logits, targets, present=1.0)
    assert found.images == 1000 and found.of_half == pytest.approx(found.temperature, rel=0.15)
    assert found.after["calibration_error"].high < found.before["calibration_error"].low
    assert found.after["log_loss"].value < found.before["log_loss"].value
    cooled = at_temperature(logits, found.temperature, tags=False)
    assert np.array_equal(cooled.argmax(axis=1), logits.argmax(axis=1))
    assert fit_temperature(logits, logits.argmax(axis=1)) >= 0.05, "where all is right, it ends somewhere"


@settings(max_examples=40)
@given(
    st.floats(0.3, 3),
    st.floats(0.3, 3),
    st.lists(st.floats(0.02, 0.98), min_size=3, max_size=3),
    st.integers(0, 10**6),
)
def test_moved_thresholds_leave_tags_as_they_are(
    before: float, after: float, thresholds: list[float], seed: int
) -> None:
    logits, _ = tags(seed, 30, 3, 1.0)
    old = at_temperature(logits, before, tags=True)
    clear = (np.abs(old - thresholds) > 1e-6).all(axis=1)
    then = tags_over(old, thresholds)
    now = tags_over(at_temperature(logits, after, tags=True), moved(thresholds, before, after))
    assert np.array_equal(then[clear], now[clear])
    assert moved(0.2, 2.0, 2.0) == pytest.approx(0.2)
