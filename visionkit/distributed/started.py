"""What torchrun says in the environment of the processes that it has started; free of torch."""

from __future__ import annotations

import os


def started_together() -> int:
    """How many processes torchrun has started together; 1 where it has not."""
    return max(1, _number("WORLD_SIZE", 1))


def started_here() -> int:
    """How many of them are on this host."""
    return max(1, _number("LOCAL_WORLD_SIZE", 1))


def local_rank() -> int | None:
    """The number of this process among those of its host; None where torchrun has not started it."""
    found = _number("LOCAL_RANK", -1)
    return found if found >= 0 else None


def follows() -> bool:
    """Whether this process is not the first of those that torchrun has started."""
    return started_together() > 1 and _number("RANK", 0) != 0


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ[name])
    except (KeyError, ValueError):
        return otherwise
