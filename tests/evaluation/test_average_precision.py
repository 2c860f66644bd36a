"""FashionAI's average precision against hand computations and scikit-learn, and the reciprocal rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from visionkit.evaluation.average_precision import average_precision, reciprocal_rank

# Four images, most confident first: right, wrong, right, wrong.
PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
TARGETS = np.array([0, 2, 2, 1])


def test_by_hand() -> None:
    assert average_precision(PROBABILITIES, TARGETS) == pytest.approx((1 / 1 + 1 / 2 + 2 / 3 + 2 / 4) / 4)


def test_the_order_of_the_images_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    assert average_precision(PROBABILITIES[order], TARGETS[order]) == pytest.approx(
        average_precision(PROBABILITIES, TARGETS)
    )


def test_maybes_are_not_counted() -> None:
    """The second image's guess is a maybe: neither right nor wrong. Maybes not guessed are nothing."""
    maybe: list[list[int]] = [[], [1], [0, 1], []]
    assert average_precision(PROBABILITIES, TARGETS, maybe) == pytest.approx((1 / 1 + 2 / 2 + 2 / 3) / 3)
    assert math.isnan(average_precision(PROBABILITIES, TARGETS, [[0], [1], [2], [0]]))


def test_equal_confidence_counts_together() -> None:
    probabilities, targets = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), np.array([0, 1, 0])
    for order in ([0, 1, 2], [1, 0, 2]):
        assert average_precision(probabilities[order], targets[order]) == pytest.approx(
            (1 / 2 + 1 / 2 + 2 / 3) / 3
        )


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    images, classes = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rounded = rng.dirichlet(np.ones(classes), images).round(draw(st.integers(1, 6)))  # with ties, if coarse
    return rounded, rng.integers(0, classes, images)


@given(predictions())
def test_against_scikit_learn(predicted: tuple[np.ndarray, np.ndarray]) -> None:
    """Its precision at every threshold, once for each of the images that have this confidence."""
    probabilities, targets = predicted
    right, confidence = probabilities.argmax(axis=1) == targets, probabilities.max(axis=1)
    if right.any():  # scikit-learn warns where nothing is right
        precision, _, thresholds = precision_recall_curve(right, confidence)
        at = dict(zip(thresholds, precision))
        expected = float(np.mean([at[value] for value in confidence]))
        assert average_precision(probabilities, targets) == pytest.approx(expected)
    else:
        assert average_precision(probabilities, targets) == 0


@given(predictions())
def test_limits(predicted: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, targets = predicted
    guesses = probabilities.argmax(axis=1)
    assert average_precision(probabilities, guesses) == 1
    accuracy = float(np.mean(guesses == targets))
    assert (reciprocal_rank(probabilities, targets) >= accuracy - 1e-9) or len(
        {value for row in probabilities for value in row}
    ) < probabilities.size, "without ties, a right guess has the rank 1"


def test_reciprocal_rank_by_hand() -> None:
    assert reciprocal_rank(PROBABILITIES, np.array([0, 1, 2, 0])) == 1
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    assert reciprocal_rank(probabilities, np.array([1, 0])) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert reciprocal_rank(np.array([[0.5, 0.5]]), np.array([0])) == 1 / 2
