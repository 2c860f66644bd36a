"""Even shares of a list of images, one for each of many processes, which know nothing of each other.

Number I of the list belongs to shard I modulo N: every process finds its share from the names alone, and
folders with large photos are spread over all shards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TypeVar

from visionkit.errors import UsageError

Item = TypeVar("Item")

MOST = 99_999
"""Shards of one table: their folders have five digits."""
_SUM_BYTES = 16


@dataclass(frozen=True)
class Shard:
    """One of `of` shares of a list.

    Args:
        number: which, from 1.
        of: how many there are.

    Raises:
        UsageError: there is no such shard.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MOST:
            raise UsageError(
                f"--shard {self.number}/{self.of}: there is no such shard. Give K/N, with K from 1 to N, and "
                f"N at most {MOST:,}."
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """What "3/16" means.

        Raises:
            UsageError: it is no shard.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if found is None:
            raise UsageError(f"--shard {text}: give K/N, such as 3/16 for the third of 16 shards.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"shard {self.number} of {self.of}"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"shard-{self.number:05}-of-{self.of:05}"

    def cut(self, items: Iterable[Item]) -> Iterator[Item]:
        """Its share of `items`, in their order; sizes of shares differ by at most one."""
        return (item for place, item in enumerate(items) if place % self.of == self.number - 1)


class NameSum:
    """What some names are, whatever their order; a name that is there twice counts twice.

    The sum of 128-bit hashes: sums of parts add up to that of the whole, so that any number of rows is
    compared with a list in no memory. Two different collections have the same one by chance only once in
    10^38.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def add(self, name: str) -> None:
        """One name more."""
        digest = blake2b(name.encode(), digest_size=_SUM_BYTES).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) % (1 << 8 * _SUM_BYTES)

    def add_all(self, other: NameSum, times: int = 1) -> None:
        """All that are in another sum, so many times."""
        self.total = (self.total + times * other.total) % (1 << 8 * _SUM_BYTES)

    def __str__(self) -> str:
        return f"{self.total:0{2 * _SUM_BYTES}x}"

    @classmethod
    def of(cls, names: Iterable[str]) -> NameSum:
        """That of some names."""
        found = cls()
        for name in names:
            found.add(name)
        return found

    @classmethod
    def read(cls, text: str) -> NameSum:
        """The sum that `str` wrote.

        Raises:
            ValueError: it is none.
        """
        return cls(int(text, 16))


class ListMark:
    """Tells a list of names from others, while it goes by."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = NameSum()
        self._digest = sha256()

    def add(self, name: str) -> None:
        """The next name."""
        data = name.encode()
        self._digest.update(b"%d:" % len(data) + data)
        self.sum.add(name)
        self.count += 1

    def as_json(self) -> dict[str, int | str]:
        """The number of names, a digest that depends on their order, and a sum that does not."""
        return {"count": self.count, "sha256": self._digest.hexdigest(), "sum": str(self.sum)}


@dataclass(frozen=True)
class Rank:
    """Which of the processes this is that torchrun has started.

    Args:
        shard: the share of this process.
        local: its number among those of this machine, from 0.
    """

    shard: Shard
    local: int

    def device(self, asked: str) -> str:
        """Its GPU where the device is "auto": one for each process, in turns where there are too few."""
        if asked != "auto":
            return asked
        import torch

        return f"cuda:{self.local % torch.cuda.device_count()}" if torch.cuda.is_available() else asked


def torchrun_rank(environment: Mapping[str, str] = os.environ) -> Rank | None:
    """What torchrun says in $RANK, $WORLD_SIZE and $LOCAL_RANK; None where it did not start this process.

    Raises:
        UsageError: they are no numbers, or do not go together.
    """
    said = [environment.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
    if None in said:
        return None
    try:
        rank, world, local = (int(each or "") for each in said)
        if not 0 <= rank < world or local < 0:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"$RANK, $WORLD_SIZE and $LOCAL_RANK are {', '.join(map(repr, said))}, which is not as torchrun "
            "sets them: unset them, or give --shard."
        ) from None
    return Rank(Shard(rank + 1, world), local)
