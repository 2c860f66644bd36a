"""Reading ahead in threads: in order, bounded, and faults come out where they belong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.errors import DataError
from visionkit.inference.reading import in_order


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 3), st.integers(1, 9))
def test_results_come_in_order_and_no_more_are_held_than_asked_for(
    count: int, threads: int, ahead: int
) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(count):
            taken += 1
            yield item

    for place, made in enumerate(in_order(lambda item: item * item, items(), threads, ahead)):
        assert made == place * place
        assert taken <= place + 1 + ahead
    assert taken == count


@pytest.mark.parametrize("threads", [0, 2])
def test_a_fault_is_raised_in_its_place(threads: int) -> None:
    def read(item: int) -> int:
        if item == 3:
            raise DataError("3.jpg: it is broken.")
        return item

    results = in_order(read, range(100), threads, 4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=r"3\.jpg"):
        next(results)
