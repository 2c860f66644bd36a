"""Many hostile cases: each must end in a right answer or one clear message, soon and in little memory.

`VISIONKIT_SEED` chooses the cases; a failure names its seed, with which the one case is `Random(seed)`.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from typer.testing import Result

from visionkit.errors import VisionkitError
from visionkit.visible import visible_lines

SEED = os.environ.get("VISIONKIT_SEED", "0")
SECONDS = 10
MOST_MEMORY = 2_000_000_000
LONGEST_MESSAGE = 3000
counted: dict[str, int] = {}
"""How many cases each program had in this process."""


def many(short: int, long: int) -> Any:
    """The parameter `count`: few cases in the suite, many in the long program."""
    return pytest.mark.parametrize("count", [short, pytest.param(long, marks=pytest.mark.slow)])


def hammer(name: str, count: int, case: Callable[[Random], object]) -> None:
    """Have `case` make and try `count` inputs."""
    refused, before = 0, memory()
    for number in range(count):
        seed = f"{name}-{SEED}-{number}"
        try:
            with watchdog():
                case(Random(seed))
        except VisionkitError as error:
            refused += 1
            assert_clear(str(error), seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed!r}: {type(error).__name__}: {error}") from error
        assert memory() - before < MOST_MEMORY, f"seed {seed!r}: {memory() - before:,} bytes of memory"
    counted[name] = counted.get(name, 0) + count
    total = sum(counted.values())
    print(
        f"{name}: {count:,} cases, {refused:,} refused in a message; {total:,} cases so far", file=sys.stderr
    )


def assert_clear(message: str, seed: str) -> None:
    """It is one message for people: short, and without anything that a terminal would obey."""
    assert message.strip() and len(message) < LONGEST_MESSAGE and "Traceback" not in message, (seed, message)


def assert_ended_well(result: Result, seed: object = "") -> None:
    """A command ended in 0, or in one message with 1 or 2; nothing that a terminal obeys was printed."""
    said = result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), (seed, result.exception)
    assert result.exit_code in (0, 1, 2), (seed, result.exit_code, said)
    assert "unexpected" not in said and "Traceback" not in said, (seed, said)
    assert visible_lines(said) == said, (seed, said)
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(errors) <= 1 and bool(said.strip()) >= bool(result.exit_code), (seed, said)


def memory() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def watchdog(seconds: int = SECONDS) -> Iterator[None]:
    """Ends a block that computes for so long, or that waits six times as long, as it may on a busy machine;
    where a library does not come back, the whole process.
    """

    def late(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = [signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(6 * seconds)
    faulthandler.dump_traceback_later(9 * seconds, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before):
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()


def in_child(program: str, *arguments: object, data: int = MOST_MEMORY) -> subprocess.CompletedProcess[str]:
    """Run Python in a process that may hold `data` bytes."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))

    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=limited,
        check=False,
    )
