"""Shards that are fetched ahead of those that read them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shards.making import labelled, tar_of

from visionkit.shards import fetching
from visionkit.shards.fetching import fetch_ahead
from visionkit.shards.reading import ShardSet
from visionkit.shards.source import ShardSource, shard_set
from visionkit.sources.base import Store
from visionkit.sources.catalogue import fetched

Put = Callable[[str, bytes], str]


def six(put: Put, store: Store) -> ShardSet:
    """There is room for five."""
    for number in range(6):
        put(f"s-{number}.tar", tar_of(labelled(2 * number, 2)))
    size = len(tar_of(labelled(0, 2)))
    source = ShardSource("memory://bucket/s-{0..5}.tar")
    found = shard_set(fetched(source, replace(store, shard_bytes=5 * size + 100)))
    for file in found.cache.folder.glob("*.tar"):
        file.unlink()
    return found


def wait_for(place: Path) -> bool:
    end = time.monotonic() + 10
    while not place.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return place.exists()


@pytest.mark.parametrize("evicted", [True, False])
def test_it_goes_on_as_shards_are_read(
    evicted: bool, put: Put, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one was read and had to go before anybody looked."""
    monkeypatch.setattr(fetching, "LOOK", 0.05)
    found = six(put, store)
    places = [found.cache.place(shard) for shard in found.shards]
    fetch_ahead(found.images[0], 2)
    assert wait_for(places[1])
    time.sleep(0.3)
    assert not places[2].exists()  # nobody has read yet
    for number in range(4):
        if evicted:
            places[number].unlink()
        else:
            found.images[0][2 * number].read_bytes()
        assert wait_for(places[number + 2])
    fetch_ahead(found.images[0][:1], 2)  # which ends the thread
