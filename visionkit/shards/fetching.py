"""Shards fetched ahead of those that read them, so that an epoch does not wait for the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from visionkit.errors import VisionkitError
from visionkit.shards.reading import ShardImage, ShardSet

LOOK = 0.2
"""Seconds between looks at how far the readers are."""
_lock = threading.Lock()
_latest: list[threading.Event] = []


def fetch_ahead(items: Sequence[Any], mixed: int) -> None:
    """Fetch the shards of an epoch in its order, in a thread, no further ahead than the cache has room for.

    An epoch that was begun before is not fetched any further. Nothing is done for shards on the local disk.

    Args:
        items: of the epoch, in order.
        mixed: so many shards are read at a time.
    """
    if not items or not isinstance(items[0], ShardImage):
        return
    found = items[0].found
    if all(shard.is_local for shard in found.shards):
        return
    rows = [item.row for item in items]
    numbers = list(dict.fromkeys(found.rows["shard"][rows].tolist()))
    largest = max(found.shards[number].size for number in numbers)
    depth = min(mixed, found.cache.limit // max(1, largest) - mixed - 1)
    stop = threading.Event()
    with _lock:
        while _latest:
            _latest.pop().set()
        _latest.append(stop)
    if depth > 0:  # else what is fetched would drive out what is read
        threading.Thread(target=_fetch, args=(found, numbers, depth, stop), daemon=True).start()


def _fetch(found: ShardSet, numbers: list[int], depth: int, stop: threading.Event) -> None:
    began, first = time.time(), 0
    if stop.wait(LOOK):  # processes that load are forked now, and would wait for a fetch
        return
    for place, number in enumerate(numbers):
        while place - first >= depth:
            while first < place and found.cache.passed_since(found.shards[numbers[first]], began):
                first += 1
            if place - first >= depth and stop.wait(LOOK):
                return
        if stop.is_set():
            return
        try:
            found.cache.fetch(found.shards[number])
        except (VisionkitError, OSError):
            return  # whoever reads it will say so
