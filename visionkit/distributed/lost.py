"""What torch says where another process cannot be reached any more, as an error that the user can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from visionkit.errors import VisionkitError

_SIGNS = re.compile(
    r"gloo|nccl|connection (closed|reset|refused|was closed)|broken pipe|timed out|process ?group|socket",
    re.IGNORECASE,
)


class ProcessLost(VisionkitError):
    """Another process of the training has ended, and no step can be made without it.

    Args:
        size: how many processes there were.
        reason: what torch says of it.
        then: what was saved, and what to do.
    """

    def __init__(
        self,
        size: int,
        reason: str,
        then: str = "Its own message or the system's log tells why; start again.",
    ) -> None:
        self.reason = reason
        what = f"one of the {size} processes of this training has ended, or cannot be reached any more"
        super().__init__(f"{what} ({reason}). {then}")


def lost_by(error: Exception) -> str | None:
    """Why another process cannot be reached, where `error` says that; None where it says something else."""
    if isinstance(error, ProcessLost):
        return error.reason
    if not (isinstance(error, RuntimeError) and _SIGNS.search(str(error))):
        return None
    said = re.sub(r"\[/[^\]]*\]\s*", "", " ".join(str(error).split()))  # without the file of torch's own
    return re.split(r"(?<=[a-z0-9\]])[.:] [A-Z]", re.sub(r"^Exception occured in .*?: ", "", said))[0][:200]


@contextmanager
def loss_told(size: int) -> Iterator[None]:
    """While processes tell each other something, beside the steps of a training.

    Args:
        size: how many processes there are.

    Raises:
        ProcessLost: another one cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if (reason := lost_by(error)) is None:
            raise
        raise ProcessLost(size, reason) from error
