from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from visionkit.shards.order import shuffled_by_shards

SHARDS = st.lists(st.integers(0, 9), max_size=200)
MIXED = st.integers(1, 12)


@given(SHARDS, MIXED, st.integers(0, 2**32))
def test_each_image_once_and_the_same_for_a_seed(shards: list[int], mixed: int, seed: int) -> None:
    order = shuffled_by_shards(shards, mixed, Random(seed))
    assert sorted(order) == list(range(len(shards)))
    assert order == shuffled_by_shards(shards, mixed, Random(seed))


@given(SHARDS, MIXED, st.integers(0, 2**32))
def test_no_more_shards_are_needed_at_a_time_than_are_mixed(shards: list[int], mixed: int, seed: int) -> None:
    order = [shards[place] for place in shuffled_by_shards(shards, mixed, Random(seed))]
    spans = [(order.index(shard), len(order) - 1 - order[::-1].index(shard)) for shard in set(order)]
    for place in range(len(order)):
        assert sum(first <= place <= last for first, last in spans) <= mixed


def test_another_seed_is_another_order() -> None:
    shards = [number // 20 for number in range(200)]
    found = {tuple(shuffled_by_shards(shards, 3, Random(seed))) for seed in range(20)}
    assert len(found) == 20
    assert len({tuple(dict.fromkeys(shards[place] for place in order)) for order in found}) > 15


def test_within_a_window_all_images_mix() -> None:
    shards = [number // 100 for number in range(400)]
    order = shuffled_by_shards(shards, 4, Random(0))
    quarters = [[shards[place] for place in order[start : start + 100]] for start in range(0, 400, 100)]
    assert all(10 <= quarter.count(shard) <= 45 for quarter in quarters for shard in range(4))
