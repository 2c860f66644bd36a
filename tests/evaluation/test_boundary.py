"""Boundary counts, against distances that scipy computes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, distance_transform_edt

from visionkit.evaluation.boundary import boundary_counts


def line(mask: np.ndarray, code: int) -> np.ndarray:
    """Pixels of a code with a neighbour of another one, by scipy."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    return (mask == code) & binary_dilation(mask != code, cross)


def counted(
    one: np.ndarray, other: np.ndarray, code: int, known: np.ndarray, reach: float
) -> tuple[int, int]:
    """Boundary pixels of `one`, and those with one of `other` within `reach`."""
    mine, theirs = line(one, code) & known, line(other, code) & known
    if not theirs.any():
        return int(mine.sum()), 0
    return int(mine.sum()), int((mine & (distance_transform_edt(~theirs) <= reach + 1e-9)).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 30), st.booleans(), st.floats(0.001, 0.2))
@example(seed=1, height=6, width=8, with_void=False, tolerance=math.nextafter(0.2, 0))  # of 10 pixels: 2
def test_counts_are_those_of_distances(
    seed: int, height: int, width: int, with_void: bool, tolerance: float
) -> None:
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 4, (2, -(-height // 3), -(-width // 3)))
    target, predicted = np.kron(blocks, np.ones((1, 3, 3), dtype=int))[:, :height, :width]
    void = 3 if with_void else None
    found = boundary_counts(predicted, target, 4, void, tolerance)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    known = ~binary_dilation(target == 3, cross) if with_void else np.ones(target.shape, dtype=bool)
    reach = max(1.0, tolerance * math.hypot(height, width))
    for code in range(4):
        assert (found.predicted[code], found.predicted_met[code]) == counted(
            predicted, target, code, known, reach
        )
        assert (found.true[code], found.true_met[code]) == counted(target, predicted, code, known, reach)


def test_a_shift_within_the_tolerance_is_met_and_one_beyond_is_not() -> None:
    target = np.zeros((100, 100), dtype=np.uint8)
    target[:, 40:] = 1
    for shift, met in ((0, True), (2, True), (6, False)):
        predicted = np.zeros_like(target)
        predicted[:, 40 + shift :] = 1
        counts = boundary_counts(predicted, target, 2, tolerance=0.02)
        assert counts.true.tolist() == counts.predicted.tolist() == [100, 100]
        assert (counts.true_met.tolist() == [100, 100]) is met
        assert (counts.predicted_met.tolist() == [100, 100]) is met


@pytest.mark.parametrize("void", [None, 1])
def test_a_mask_of_one_code_has_no_boundary(void: int | None) -> None:
    blank = np.zeros((5, 7), dtype=np.uint8)
    assert all(not each.any() for each in boundary_counts(blank, blank, 2, void))
