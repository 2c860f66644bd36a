"""Figures of every task, equal to those of scikit-learn and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as sk
from torchmetrics import classification as tm

from visionkit.evaluation.label_figures import label_scores
from visionkit.evaluation.mask_figures import MaskCounts
from visionkit.evaluation.point_figures import point_scores, weighted_medians
from visionkit.evaluation.scores import Scores
from visionkit.evaluation.tag_figures import average_precisions, tag_scores

SEEDS = st.integers(0, 10**6)


def value(scores: Scores, name: str) -> float:
    return float(scores.figures[name].value)


@settings(max_examples=12, deadline=None)
@given(SEEDS, st.integers(1, 40), st.integers(2, 9))
def test_labels(seed: int, images: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, images)
    logits = generator.normal(size=(images, classes)) + np.eye(classes)[targets]
    probabilities = softmax(logits, axis=1).astype(np.float32)
    guesses = probabilities.argmax(axis=1)
    scores = label_scores(probabilities, targets, [f"class {place}" for place in range(classes)])
    assert value(scores, "accuracy") == pytest.approx(sk.accuracy_score(targets, guesses))
    assert value(scores, "error_rate") == pytest.approx(1 - sk.accuracy_score(targets, guesses))
    if classes > 5:
        top = sk.top_k_accuracy_score(targets, probabilities, k=5, labels=range(classes))
        assert value(scores, "top_5_accuracy") == pytest.approx(top)
    else:
        assert "top_5_accuracy" not in scores.figures
    every = sk.precision_recall_fscore_support(targets, guesses, labels=range(classes), zero_division=0)
    for name, theirs in zip(("precision", "recall", "f1"), every):
        assert scores.table.columns[name].value == pytest.approx(theirs)
    assert scores.table.counts["images"].tolist() == every[3].tolist()
    macro = sk.precision_recall_fscore_support(targets, guesses, average="macro", zero_division=0)
    for name, theirs in zip(("precision", "recall", "f1"), macro):
        assert value(scores, f"macro_{name}") == pytest.approx(theirs)
    error = tm.MulticlassCalibrationError(classes, n_bins=15)(
        torch.tensor(probabilities), torch.tensor(targets)
    )
    assert value(scores, "calibration_error") == pytest.approx(float(error), abs=1e-6)
    exact = probabilities.astype(float)
    theirs = sk.log_loss(targets, exact / exact.sum(axis=1, keepdims=True), labels=range(classes))
    assert value(scores, "log_loss") == pytest.approx(theirs, rel=1e-4)
    assert all(figure.low <= figure.high for figure in scores.figures.values())


@settings(max_examples=12, deadline=None)
@given(SEEDS, st.integers(2, 30), st.integers(2, 6))
def test_tags(seed: int, images: int, tags: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = np.round(generator.random((images, tags)), 1).astype(np.float32)  # with ties
    targets = (generator.random((images, tags)) < probabilities).astype(int)
    chosen = probabilities > 0.35
    scores = tag_scores(probabilities, targets, chosen, [f"tag {place}" for place in range(tags)])
    for beta in (1, 2):
        theirs = sk.fbeta_score(targets, chosen, beta=beta, average="samples", zero_division=0)
        assert value(scores, f"f{beta}") == pytest.approx(theirs)
        every = sk.fbeta_score(targets, chosen, beta=beta, average=None, zero_division=0)
        assert scores.table.columns[f"f{beta}"].value == pytest.approx(every)
    every = sk.precision_recall_fscore_support(targets, chosen, zero_division=0)
    assert scores.table.columns["precision"].value == pytest.approx(every[0])
    assert scores.table.columns["recall"].value == pytest.approx(every[1])
    assert value(scores, "accuracy_multi") == pytest.approx(1 - sk.hamming_loss(targets, chosen))
    assert value(scores, "exact_match") == pytest.approx(sk.accuracy_score(targets, chosen))
    there = np.flatnonzero(targets.sum(axis=0))
    average = scores.table.columns["average_precision"].value
    for tag in range(tags):
        if tag in there:
            theirs = sk.average_precision_score(targets[:, tag], probabilities[:, tag])
            assert average[tag] == pytest.approx(theirs)
        else:
            assert np.isnan(average[tag])
    if len(there) == tags:
        metric = tm.MultilabelAveragePrecision(tags, average="macro")
        theirs = metric(torch.tensor(probabilities), torch.tensor(targets))
        assert value(scores, "mean_average_precision") == pytest.approx(float(theirs), abs=1e-6)


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 15))
def test_weights_count_as_repetitions(seed: int, images: int) -> None:
    """So that an interval is that of images drawn again: average precision and median."""
    generator = np.random.default_rng(seed)
    scores, truth = np.round(generator.random(images), 1), generator.integers(0, 2, images)
    weights = generator.integers(0, 4, images)
    again = np.repeat(np.arange(images), weights)
    (found,) = average_precisions(scores, truth, weights[None].astype(float))
    if truth[again].any():
        assert found == pytest.approx(sk.average_precision_score(truth[again], scores[again]))
    else:
        assert np.isnan(found)
    if len(again):
        order = np.argsort(scores, kind="stable")
        assert weighted_medians(scores, weights[None].astype(float), order)[0] == pytest.approx(
            np.median(scores[again])
        )


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 4), st.booleans())
def test_masks(seed: int, images: int, with_void: bool) -> None:
    generator = np.random.default_rng(seed)
    codes = ["Sky", "Road", "Car", "Void" if with_void else "Tree"]
    void = 3 if with_void else None
    targets = generator.integers(0, 4 if seed % 2 else 3, (images, 9, 13))
    predicted = np.where(
        generator.random(targets.shape) < 0.7, targets, generator.integers(0, 4, targets.shape)
    )
    counts = MaskCounts(codes)
    for guess, target in zip(predicted, targets):
        counts.add(guess, target)
    scores = counts.scores()
    both = torch.tensor(predicted), torch.tensor(targets)
    options = {"num_classes": 4, "ignore_index": void}
    accuracy = tm.MulticlassAccuracy(average="micro", **options)(*both)
    assert value(scores, "pixel_accuracy") == pytest.approx(float(accuracy), abs=1e-6)
    iou = tm.MulticlassJaccardIndex(average="macro", **options)(*both)
    assert value(scores, "mean_iou") == pytest.approx(float(iou), abs=1e-6)
    known = targets != void
    for place, name in enumerate(codes):
        mine, theirs = predicted[known] == place, targets[known] == place
        columns = {key: figure.value[place] for key, figure in scores.table.columns.items()}
        if place == void or not (mine | theirs).any():
            assert np.isnan(columns["iou"]) and np.isnan(columns["dice"])
            continue
        assert columns["iou"] == pytest.approx(sk.jaccard_score(theirs, mine, zero_division=0)), name
        assert columns["dice"] == pytest.approx(sk.f1_score(theirs, mine, zero_division=0))
        assert columns["recall"] == pytest.approx(sk.recall_score(theirs, mine, zero_division=0))
        assert columns["precision"] == pytest.approx(sk.precision_score(theirs, mine, zero_division=0))
    matrix = sk.confusion_matrix(targets[known], predicted[known], labels=range(4))
    assert np.array_equal(counts.confusion, matrix)


def test_masks_that_are_right_score_one_and_void_is_of_no_account() -> None:
    target = np.zeros((20, 20), dtype=np.uint8)
    target[:, 10:], target[:3] = 1, 2
    predicted = target.copy()
    predicted[:3] = 1
    counts = MaskCounts(["a", "b", "Void"])
    counts.add(predicted, target)
    figures = counts.scores().figures
    assert all(float(figure.value) == 1 for figure in figures.values()), figures
    assert list(figures) == ["pixel_accuracy", "mean_iou", "mean_dice", "mean_boundary_f1"]


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(1, 3))
def test_points(seed: int, images: int, points: int) -> None:
    errors = np.random.default_rng(seed).exponential(8, (images, points))
    scores = point_scores(errors, [f"point {place}" for place in range(points)], (5, 12.5))
    assert value(scores, "pixel_error") == pytest.approx(errors.mean())
    assert value(scores, "median_pixel_error") == pytest.approx(np.median(errors))
    assert value(scores, "within_5_px") == pytest.approx((errors <= 5).mean())
    assert value(scores, "within_12.5_px") == pytest.approx((errors <= 12.5).mean())
    assert scores.table.columns["mean_error"].value == pytest.approx(errors.mean(axis=0))
    assert scores.table.columns["median_error"].value == pytest.approx(np.median(errors, axis=0))
