"""One epoch's batches, made ahead of what computes with them, in threads that live on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cached_property
from random import Random
from typing import Any

from visionkit.loading.batches import Batch, Feed, Work
from visionkit.loading.share import WHOLE, Share

SPARE = 2
"""Batches that are begun before they are asked for, beside the one that each thread is at."""


class Makers:
    """Threads that make batches, each of them whole ones: none waits for another.

    Args:
        threads: how many; with 0, batches are made where they are asked for.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @property
    def depth(self) -> int:
        """Batches that are begun before they are asked for."""
        return self.threads + SPARE if self.threads else 0

    @cached_property
    def pool(self) -> Executor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="batches")


class Ahead:
    """The batches of one epoch, in order; begins the first ones at once.

    Args:
        feed: gives them.
        places: of the items, in the order of the epoch.
        size: of a batch.
        seed: of all that is random in the epoch.
        transforms: the loader's batch transforms.
        makers: the threads.
        skipped: batches at the start that are left out.
        share: of each batch, which is made.
    """

    before: Any = None
    """The state of the loader's generator before this epoch was drawn."""
    after: Any = None
    """The same when it was."""

    def __init__(
        self,
        feed: Feed,
        places: Sequence[int],
        size: int,
        seed: int,
        transforms: list[Any],
        makers: Makers,
        skipped: int = 0,
        share: Share = WHOLE,
    ) -> None:
        self.feed, self.places, self.size, self.seed = feed, places, size, seed
        self.transforms, self.makers, self.share = transforms, makers, share
        starts = range(skipped * size, len(places), size)
        self._starts = iter([start for start in starts if self._rows(start)])
        self._waiting: deque[Future[Batch]] = deque()
        for _ in range(makers.depth):
            self._submit()

    def is_for(self, size: int, transforms: list[Any], rng: Random) -> bool:
        """Whether batches of this size, with these batch transforms, are being made, and `rng` drew them."""
        same = len(transforms) == len(self.transforms) and size == self.size
        unchanged = all(a is b for a, b in zip(transforms, self.transforms))
        return same and unchanged and self.was_drawn_by(rng)

    def was_drawn_by(self, rng: Random) -> bool:
        """Whether `rng` has done nothing since it drew this epoch."""
        return bool(self.after == rng.getstate())

    def __iter__(self) -> Iterator[Batch]:
        if not self.makers.threads:
            for start in self._starts:
                yield self._prepared(start)()
            return
        while self._waiting:
            self._submit()
            yield self._waiting.popleft().result()

    def cancel(self) -> None:
        """Do not make what nobody has asked for yet."""
        while self._waiting:
            self._waiting.popleft().cancel()

    def _submit(self) -> None:
        start = next(self._starts, None)
        if start is not None:
            self._waiting.append(self.makers.pool.submit(self._prepared(start)))

    def _rows(self, start: int) -> range:
        """Which images of the batch that begins at `start` are made."""
        count = min(self.size, len(self.places) - start)
        return range(count)[self.share.of(count)]

    def _prepared(self, start: int) -> Work:
        places = self.places[start : start + self.size]
        rows = self._rows(start)
        own = None if len(rows) == len(places) else slice(rows.start, rows.stop)
        return self.feed.prepare(places, self.seed + 2 * start, self.transforms, own)
