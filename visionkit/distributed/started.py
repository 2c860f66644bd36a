"""What torchrun says in the environment of the processes that it has started; free of torch."""

from __future__ import annotations

import os

_PLACE = ("RANK", "WORLD_SIZE")
_hidden: dict[str, str] = {}


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


def own_rank() -> int:
    """The number of this process among all of them, from 0."""
    return _number("RANK", 0)


def follows() -> bool:
    """Whether this process is not the first of those that torchrun has started."""
    return started_together() > 1 and own_rank() != 0


def hide() -> None:
    """Let fastai take this process for one alone: it would gather every tensor by itself, and fail where the
    processes have parted. What is asked here is known all the same.
    """
    for name in _PLACE:
        if name in os.environ:
            _hidden[name] = os.environ.pop(name)


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ.get(name) or _hidden[name])
    except (KeyError, ValueError):
        return otherwise
