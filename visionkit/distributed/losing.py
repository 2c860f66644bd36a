"""What becomes of a training when one of its processes is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from visionkit.checkpoints.saving import Saving
from visionkit.distributed.stopping import AgreedInterruption
from visionkit.distributed.world import World
from visionkit.errors import VisionkitError

_SIGNS = re.compile(
    r"gloo|nccl|connection (closed|reset|was closed)|broken pipe|timed out|process ?group|socket",
    re.IGNORECASE,
)


class ProcessLost(VisionkitError):
    """Another process of the training has ended, and no step can be made without it."""


@contextmanager
def lost_processes_told(world: World, saving: Saving) -> Iterator[None]:
    """Save what was trained, and say so, where another process ends meanwhile.

    Raises:
        ProcessLost: one has.
    """
    try:
        yield
    except RuntimeError as error:
        if world.size == 1 or not _SIGNS.search(str(error)):
            raise
        if isinstance(saving.interruption, AgreedInterruption):
            saving.interruption.end()
        position = saving.broken_off()
        saved = "" if position is None else f" What was trained is saved, at {position}."
        raise ProcessLost(
            f"one of the {world.size} processes of this training has ended, or cannot be reached any more "
            f"({_reason(error)}).{saved} visionkit resume goes on, with any number of processes."
        ) from error


def _reason(error: RuntimeError) -> str:
    """What torch says, without the file of its own where it says so, and its advice."""
    said = re.sub(r"\[/[^\]]*\]\s*", "", " ".join(str(error).split()))
    return re.split(r"(?<=[a-z\]])[.:] [A-Z]", re.sub(r"^Exception occured in .*?: ", "", said))[0][:200]
