"""The order of an epoch that reads each shard once, or nearly so, and is shuffled all the same."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np


def shuffled_by_shards(shards: Sequence[int] | np.ndarray, mixed: int, rng: Random) -> list[int]:
    """The places of all images in a random order: shards are shuffled, then the images of a few at a time.

    Args:
        shards: of each image, the number of its shard.
        mixed: of so many shards at a time images are mixed: 1 keeps those of a shard together, as many as
            there are shards mixes all.
        rng: what the order comes from.
    """
    numbers = np.asarray(shards)
    by_shard = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[by_shard], prepend=-1))
    groups = np.split(by_shard, starts[1:])
    order = list(range(len(groups) if len(numbers) else 0))
    rng.shuffle(order)
    draw = np.random.default_rng(rng.getrandbits(64))
    found: list[int] = []
    for start in range(0, len(order), mixed):
        window = np.concatenate([groups[place] for place in order[start : start + mixed]])
        draw.shuffle(window)
        found += window.tolist()
    return found
