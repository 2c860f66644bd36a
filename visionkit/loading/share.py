"""Which part of every batch a process makes, where several train together."""

from __future__ import annotations

from typing import NamedTuple


class Share(NamedTuple):
    """One of `size` equal parts of each batch; parts differ by one image at most.

    Args:
        rank: which of them, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def of(self, count: int) -> slice:
        """The places of a batch of `count` images that are this share; none where there are too few."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


WHOLE = Share(0, 1)
