"""Cases that are watched: each has a time limit, and all of a program share a limit of memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SECONDS = 10
MEMORY = 2_000_000_000
"""Bytes of address space that hostile files may make a process take."""


class Hang(BaseException):
    """A case took too long. No `Exception`, which what is tested may catch."""


@contextmanager
def time_limit(seconds: int = SECONDS) -> Iterator[None]:
    """Raise `Hang` where what is done in here takes longer; end the process where that does not help."""

    def soft(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGALRM, hard)
        signal.alarm(seconds)
        raise Hang(f"more than {seconds} s")

    def hard(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(99)

    before = signal.signal(signal.SIGALRM, soft)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def limit_memory(more: int = MEMORY) -> None:
    """Let this process have so many bytes of address space more than it has now."""
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))


def say(text: str) -> None:
    print(text, flush=True, file=sys.stdout)
