"""What a store did not answer is asked again, where that may help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from visionkit.errors import VisionkitError

TRIES = 4
WAIT = 0.5
"""Seconds before a store is asked again; twice as many each time."""
_GONE, _LATER = (404, 410), (408, 425, 429)
"""What web servers answer where there is no such file, and where it is worth asking again."""
Answer = TypeVar("Answer")


def seconds_before(attempt: int) -> float:
    """How long to wait before this attempt; the second is 1."""
    return WAIT * 2 ** (attempt - 1)


def tried(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns, which is called again after faults that may pass."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt  # no need of a demo's Space

    trying = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=lambda state: seconds_before(state.attempt_number),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    return trying(ask)


def is_missing(error: Exception) -> bool:
    """Whether it says that there is no such file; fsspec says that of web servers that are away, too."""
    return isinstance(error, FileNotFoundError) and (
        error.__cause__ is None
        or isinstance(error.__cause__, (FileNotFoundError, KeyError))
        or _status(error) in _GONE
    )


def _may_pass(error: BaseException) -> bool:
    final = (VisionkitError, ImportError, PermissionError, ValueError, TypeError, NotImplementedError)
    if not isinstance(error, Exception) or isinstance(error, final) or is_missing(error):
        return False
    status = _status(error)
    return status is None or status >= 500 or status in _LATER


def _status(error: BaseException) -> int | None:
    """Of a web server's answer that the error is about."""
    found = getattr(error, "status", None) or getattr(error.__cause__, "status", None)
    return found if isinstance(found, int) else None
