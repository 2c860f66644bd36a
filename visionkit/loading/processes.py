"""Loader processes: signals that are not meant for them, and being ended from outside."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

_SECONDS = 5.0
"""That a process whose connection broke may take to be gone."""


def leave_signals_to_the_training() -> None:
    """In a loader process: ignore Ctrl-C and SIGTERM, which terminals, torchrun and schedulers send to all.

    The training still needs its images to get to the end of a batch. Where it is gone, torch ends the
    process.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


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
