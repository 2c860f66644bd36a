"""No process is forked in the midst of a fetch: the copy would hold the fetch's lock, and for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_changed = threading.Condition(threading.Lock())
_under_way = 0


@contextmanager
def not_forked() -> Iterator[None]:
    """Within the block, forks that other threads ask for wait; any number of threads may be in one."""
    global _under_way
    with _changed:
        _under_way += 1
    try:
        yield
    finally:
        with _changed:
            _under_way -= 1
            _changed.notify_all()


def _before() -> None:
    _changed.acquire()
    while _under_way:
        _changed.wait()


def _after() -> None:
    _changed.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
