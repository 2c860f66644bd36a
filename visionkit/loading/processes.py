"""Loader processes that are ended from outside, whatever the loading notices first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

_SECONDS = 5.0
"""That a process whose connection broke may take to be gone."""


@contextmanager
def ended_processes_told(batches: Any) -> Iterator[None]:
    """Raise what torch raises for a process that was ended, where the broken connection to it was seen first.

    Args:
        batches: torch's iterator over what processes load; one that loads by itself has none.

    Raises:
        RuntimeError: names the processes that were ended.
    """
    try:
        yield
    except Exception as error:
        processes = getattr(batches, "_workers", ())
        if processes and isinstance(error, (ConnectionError, EOFError)):
            ending = wait([process.sentinel for process in processes], _SECONDS)
            for process in processes:
                if process.sentinel in ending:  # its files are closed, and the rest follows
                    process.join(_SECONDS)
        if ended := [str(process.pid) for process in processes if process.exitcode]:
            raise RuntimeError(
                f"DataLoader worker (pid(s) {', '.join(ended)}) exited unexpectedly"
            ) from error
        raise
