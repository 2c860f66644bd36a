"""Loaders that go on in the middle of an epoch: what is left is what it would have been."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading.numbers import KINDS, batch_list, epoch
from loading.pairs import pair
from torch import Tensor


def through_json(loader: Any) -> list[Any]:
    state: list[Any] = json.loads(json.dumps(loader.epoch_state()))
    return state


OPTIONS = st.fixed_dictionaries(
    {"bs": st.integers(1, 6), "shuffle": st.booleans(), "drop_last": st.booleans(), "weighted": st.booleans()}
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 17),
    options=OPTIONS,
    epochs=st.integers(0, 2),
    threads=st.integers(0, 2),
    data=st.data(),
)
def test_what_is_left_is_what_it_would_have_been(
    kind: str, count: int, options: dict[str, Any], epochs: int, threads: int, data: st.DataObject
) -> None:
    workers = threads if kind == "cached" else 0

    def made(seed: int) -> Any:
        return KINDS[kind](count, seed, workers=workers, **options)

    whole = made(1)
    expected = [epoch(whole) for _ in range(epochs + 2)]
    batches = data.draw(st.integers(0, len(whole)))
    interrupted = made(1)
    for _ in range(epochs):
        epoch(interrupted)
    running = iter(interrupted)
    seen = [batch_list(batch) for batch in islice(running, batches)]
    state = through_json(interrupted)
    assert seen == expected[epochs][:batches]

    other = made(2)
    if data.draw(st.booleans()):
        epoch(other)  # so that its next epoch is begun
    asked = (other.feed if kind == "cached" else other.dataset).asked
    other.go_on(state, batches)
    assert through_json(other) == state and len(other) == len(whole)
    asked.clear()
    rest = epoch(other)
    assert rest == expected[epochs][batches:]
    if not (kind == "cached" and workers):  # where threads begin the next epoch
        assert len(asked) == sum(len(places) for _, places in rest) + unasked(other, rest)
    assert epoch(other) == expected[epochs + 1]
    assert through_json(other) == through_json(whole)


def unasked(loader: Any, rest: list[Any]) -> int:
    """Items that fastai's loader makes for a last batch that it leaves out."""
    if hasattr(loader, "feed") or not loader.drop_last:
        return 0
    return loader.n % loader.bs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_between_two_epochs_the_state_is_the_next_one_s(kind: str, workers: int) -> None:
    loader, other = (KINDS[kind](11, seed, bs=2, shuffle=True, workers=workers) for seed in (1, 2))
    for _ in range(3):
        state = through_json(loader)
        assert through_json(loader) == state
        other.go_on(state, 0)
        assert epoch(other) == epoch(loader)
    assert through_json(loader) != state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batches", range(7))
def test_processes_and_threads_change_nothing(kind: str, batches: int) -> None:
    whole = KINDS[kind](11, 1, bs=2, shuffle=True)
    state = through_json(whole)
    expected = epoch(whole), epoch(whole)
    for workers in (1, 2, 3):
        other = KINDS[kind](11, 2, bs=2, shuffle=True, workers=workers)
        other.go_on(state, batches)
        assert epoch(other) == expected[0][batches:]
        if batches == 5:
            assert epoch(other) == expected[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
def test_an_epoch_that_is_given_up_is_over(kind: str, held: bool) -> None:
    loader, other = (KINDS[kind](11, seed, bs=2, shuffle=True) for seed in (1, 2))
    given_up = iter(loader)
    next(given_up)
    if held:  # as an error's traceback may do
        second = iter(loader)
        next(second)
        given_up.close()
        list(second)
    else:
        given_up.close()
    other.go_on(through_json(loader), 0)
    assert epoch(other) == epoch(loader)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_in_between_takes_nothing(kind: str) -> None:
    """`one_batch` between `go_on` and the epoch, and in the midst of one."""
    loader, other = (KINDS[kind](11, seed, bs=2, shuffle=True) for seed in (1, 2))
    state = through_json(loader)
    expected = epoch(loader)
    other.go_on(state, 2)
    other.one_batch()
    running = iter(other)
    assert batch_list(next(running)) == expected[2]
    other.one_batch()
    assert through_json(other) == state
    assert [batch_list(batch) for batch in running] == expected[3:]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_gone_on_with(kind: str) -> None:
    loader = KINDS[kind](11, 1, bs=2, shuffle=True)
    state = loader.epoch_state()
    for batches in (-1, 7):
        with pytest.raises(ValueError, match="6 batches"):
            loader.go_on(state, batches)
    for wrong in ([], [3, [1, 2], None], [3, ["a"] * 625, None], [2**70, state[1], None], [3, None, None]):
        with pytest.raises(ValueError, match="generator"):
            loader.go_on(wrong, 0)
    assert loader.epoch_state() == state and len(epoch(loader)) == 6


@pytest.mark.parametrize("which", ["cached", "uncached"])
@pytest.mark.parametrize("dataset", ["pets", "camvid"], indirect=True)
def test_images(which: str, dataset: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = dataset
    loaders = []
    for seed, workers in ((1, 0), (2, 2)):
        made = pair(name, folder, tmp_path / "store", bs=3, workers=workers)[which == "uncached"].train
        made.rng = random.Random(seed)
        loaders.append(made)
    whole, other = loaders
    expected = [plain(batch) for batch in whole]
    running = iter(whole)
    again = [plain(next(running)) for _ in range(2)]
    other.go_on(through_json(whole), 2)
    again += [plain(batch) for batch in running]
    rest = [plain(batch) for batch in other]
    assert len(rest) == len(expected) - 2 and rest == again[2:]
    assert again != expected and [plain(batch) for batch in other] == [plain(batch) for batch in whole]


def plain(batch: Any) -> list[bytes]:
    return [part.as_subclass(Tensor).numpy().tobytes() for part in batch]
