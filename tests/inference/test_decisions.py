"""Which tags an image gets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.inference.decisions import tags_by_expected_fbeta, tags_over


def expected_fbeta(chosen: np.ndarray, probabilities: np.ndarray, beta: float) -> float:
    """By going through every set of true tags."""
    total = 0.0
    for truth in map(np.array, product([False, True], repeat=len(probabilities))):
        chance = np.prod(np.where(truth, probabilities, 1 - probabilities))
        weight = beta**2 * truth.sum() + chosen.sum()
        total += chance * ((1 + beta**2) * (truth & chosen).sum() / weight if weight else 0.0)
    return total


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from([0.5, 1.0, 2.0]))
def test_no_set_of_tags_has_a_greater_expected_f(values: list[float], beta: float) -> None:
    probabilities = np.array(values)
    (chosen,) = tags_by_expected_fbeta(probabilities[None], beta)
    found = expected_fbeta(chosen, probabilities, beta)
    every = map(np.array, product([False, True], repeat=len(values)))
    assert found == pytest.approx(max(expected_fbeta(other, probabilities, beta) for other in every))


def test_images_are_decided_one_by_one() -> None:
    probabilities = np.array([[0.9, 0.3, 0.01], [0.5, 0.02, 0.03], [0.0, 0.0, 0.0]])
    chosen = tags_by_expected_fbeta(probabilities)
    assert chosen.tolist() == [[True, True, False], [True, False, False], [True, False, False]]


def test_thresholds_are_one_or_one_for_each() -> None:
    probabilities = np.array([[0.5, 0.2], [0.51, 0.9]])
    assert tags_over(probabilities, 0.5).tolist() == [[False, False], [True, True]]
    assert tags_over(probabilities, [0.6, 0.1]).tolist() == [[False, True], [False, True]]
