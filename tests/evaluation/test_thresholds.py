"""Thresholds: as good as any that could be tried."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from visionkit.evaluation.fitting import tune
from visionkit.evaluation.halving import halves
from visionkit.evaluation.thresholds import (
    FEWEST,
    best_common,
    best_per_tag,
    mean_fbeta,
    threshold_curve,
)
from visionkit.inference.decisions import tags_over


def tagged(seed: int, images: int, tags: int, steps: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Float32 probabilities, of `steps` different values if not 0, and tags that go with them."""
    generator = np.random.default_rng(seed)
    probabilities = generator.random((images, tags))
    targets = (generator.random((images, tags)) < probabilities).astype(int)
    if steps:
        probabilities = np.round(probabilities * steps) / steps
    return probabilities.astype(np.float32), targets


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(2, 6), st.sampled_from([1.0, 2.0]))
def test_the_mean_is_that_of_scikit_learn(seed: int, images: int, tags: int, beta: float) -> None:
    probabilities, targets = tagged(seed, images, tags)
    chosen = probabilities > 0.4
    theirs = fbeta_score(targets, chosen, beta=beta, average="samples", zero_division=0)
    assert mean_fbeta(chosen, targets, beta) == pytest.approx(theirs)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 15), st.integers(2, 5), st.sampled_from([0, 3, 10]))
def test_no_common_threshold_is_better(seed: int, images: int, tags: int, steps: int) -> None:
    probabilities, targets = tagged(seed, images, tags, steps)
    best = best_common(probabilities, targets)
    assert 0 <= best <= 1
    score = mean_fbeta(tags_over(probabilities, best), targets)
    for other in [0.0, *np.unique(probabilities).tolist()]:
        assert mean_fbeta(tags_over(probabilities, other), targets) <= score + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from([0, 4]))
def test_the_curve_is_what_thresholds_give(seed: int, images: int, steps: int) -> None:
    probabilities, targets = tagged(seed, images, 4, steps)
    for place, score in zip(*threshold_curve(probabilities, targets)):
        assert mean_fbeta(tags_over(probabilities, float(place)), targets) == pytest.approx(score)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2 * FEWEST, 40), st.integers(2, 4))
def test_no_single_change_of_a_tags_threshold_is_better(seed: int, images: int, tags: int) -> None:
    probabilities, targets = tagged(seed, images, tags)
    start = best_common(probabilities, targets)
    found = best_per_tag(probabilities, targets, start)
    score = mean_fbeta(tags_over(probabilities, found), targets)
    assert score >= mean_fbeta(tags_over(probabilities, start), targets) - 1e-9
    for tag, count in enumerate(targets.sum(axis=0)):
        if not FEWEST <= count <= images - FEWEST:
            assert found[tag] == start, "a rare tag keeps the common threshold"
            continue
        for other in probabilities[:, tag].tolist():
            changed = found.copy()
            changed[tag] = other
            assert mean_fbeta(tags_over(probabilities, changed), targets) <= score + 1e-7


def test_neighbouring_float32_probabilities_are_told_apart() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    probabilities, targets = np.array([[low, high]]), np.array([[0, 1]])
    best = best_common(probabilities, targets)
    assert tags_over(probabilities, best).tolist() == [[False, True]]


def test_a_tag_with_its_own_scale_gets_its_own_threshold() -> None:
    """One tag's probabilities are a tenth of what they should be: only thresholds of its own help."""
    generator = np.random.default_rng(5)
    clear = generator.random((400, 3)) < 0.5
    probabilities = np.where(clear, 0.9, 0.3) + generator.uniform(-0.05, 0.05, (400, 3))
    probabilities[:, 0] /= 10
    found = tune(probabilities.astype(np.float32), clear.astype(int), 0.5)
    assert found.chosen == "per_tag" and found.thresholds == found.per_tag
    assert found.per_tag[0] < 0.1 < 0.3 < min(found.per_tag[1:])
    f2 = {name: float(figure.value) for name, figure in found.f2.items()}
    there = float(clear.any(axis=1).mean())
    assert f2["per_tag"] == pytest.approx(there, abs=0.05) and f2["per_tag"] > f2["common"] > f2["present"]
    assert found.images == 200


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 5))
def test_halves_have_the_same_share_of_every_class(seed: int, images: int, classes: int) -> None:
    targets = np.random.default_rng(seed).integers(0, classes, images)
    first, second = halves(targets, seed)
    assert sorted([*first, *second]) == list(range(images))
    for name in range(classes):
        assert abs(int((targets[first] == name).sum()) - int((targets[second] == name).sum())) <= 1
    assert np.array_equal(halves(targets, seed)[0], first), "the same seed gives the same halves"


@pytest.mark.parametrize("images", [4, 37, 200])
def test_halves_of_tagged_images(images: int) -> None:
    _, targets = tagged(1, images, 5)
    first, second = halves(targets)
    assert sorted([*first, *second]) == list(range(images)) and min(len(first), len(second)) >= 1
    if images == 200:
        assert np.abs(targets[first].sum(axis=0) - targets[second].sum(axis=0)).max() <= 6
