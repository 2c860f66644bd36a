"""Trying again, later and later, for as long as it brings anything."""

from __future__ import annotations

import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

ATTEMPTS = 6
"""How many attempts in a row may bring no byte before it is given up."""
WAIT = wait_exponential_jitter(initial=1, max=60)
SLEEP: Callable[[float], None] = time.sleep
"""Tests put something quicker here."""
LONGEST_WAIT = 120.0
"""Seconds at most that a server may ask for in Retry-After."""
_WORTH_A_NOTE = 5.0
"""Seconds of a wait."""


class Again(Exception):
    """An attempt failed; another may succeed.

    Args:
        reason: what went wrong.
        after: how many seconds the server asks to wait; 0 where it does not.
    """

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Attempts:
    """Calls a function until it raises `Again` no more.

    Args:
        arrived: how many bytes there are.
        note: is told of long waits.
        begun: how many bytes there were before; only more than these count.
    """

    def __init__(self, arrived: Callable[[], int], note: Callable[[str], None], begun: int) -> None:
        self.arrived = arrived
        self.note = note
        self.furthest = begun
        self.fruitless = 0  # in a row

    def run(self, attempt: Callable[[], None]) -> None:
        """Call `attempt` as often as it takes.

        Raises:
            Again: the last of `ATTEMPTS` calls in a row that brought nothing.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(Again),
            stop=lambda state: self.fruitless >= ATTEMPTS,
            wait=self._wait,
            sleep=lambda seconds: SLEEP(seconds),
            reraise=True,
        )
        retrying(self._count, attempt)

    def _count(self, attempt: Callable[[], None]) -> None:
        try:
            attempt()
        except Again:
            arrived = self.arrived()
            self.fruitless = 0 if arrived > self.furthest else self.fruitless + 1
            self.furthest = max(self.furthest, arrived)
            raise

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: longer the more of them were fruitless, not the more there were."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Again) else 0.0
        state.attempt_number = max(1, self.fruitless)
        seconds = min(asked, LONGEST_WAIT) or WAIT(state)
        if seconds >= _WORTH_A_NOTE and self.fruitless < ATTEMPTS:
            self.note(f"waiting    {error}; the next attempt is in {seconds:.0f} s")
        return seconds
