"""The tag set with the greatest expected F2, against every set there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.evaluation.thresholds import image_fbeta, mean_fbeta
from visionkit.inference.decisions import tags_by_expected_fbeta, tags_over

PROBABILITIES = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8)


def expectations(probabilities: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """All sets of tags, and the expected F-beta of each: over all sets that may be the truth."""
    sets = np.array(list(product((0, 1), repeat=len(probabilities))))
    chances = np.where(sets, probabilities, 1 - probabilities).prod(axis=1)
    scores = [image_fbeta(np.broadcast_to(chosen, sets.shape), sets, beta) @ chances for chosen in sets]
    return sets, np.array(scores)


@settings(max_examples=60, deadline=None)
@given(PROBABILITIES, st.sampled_from([1.0, 2.0]))
def test_no_set_has_a_greater_expectation(values: list[float], beta: float) -> None:
    probabilities = np.array(values)
    sets, scores = expectations(probabilities, beta)
    (chosen,) = tags_by_expected_fbeta(probabilities[None], beta)
    place = int(np.flatnonzero((sets == chosen).all(axis=1))[0])
    assert scores[place] == pytest.approx(scores.max(), abs=1e-9)


def test_where_tags_are_as_probable_as_said_it_is_the_best_decision() -> None:
    """By theory, a threshold of about 0.2 is nearly as good for F2 where there are many tags."""
    generator = np.random.default_rng(0)
    probabilities = generator.beta(0.4, 1.2, (4000, 12)).astype(np.float32)
    targets = generator.random(probabilities.shape) < probabilities
    expected = mean_fbeta(tags_by_expected_fbeta(probabilities), targets)
    over = {each: mean_fbeta(tags_over(probabilities, each), targets) for each in (0.1, 0.2, 0.3, 0.5)}
    assert expected > max(over.values()) and over[0.2] > over[0.5]
