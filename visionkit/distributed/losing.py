"""What becomes of a training when one of its processes is gone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from visionkit.checkpoints.saving import Saving
from visionkit.distributed.lost import ProcessLost, lost_by
from visionkit.distributed.stopping import AgreedInterruption
from visionkit.distributed.world import World


@contextmanager
def lost_processes_told(world: World, saving: Saving) -> Iterator[None]:
    """Save what was trained, and say so, where another process ends meanwhile.

    Raises:
        ProcessLost: one has.
    """
    try:
        yield
    except (RuntimeError, ProcessLost) as error:
        reason = None if world.size == 1 else lost_by(error)
        if reason is None:
            raise
        if isinstance(saving.interruption, AgreedInterruption):
            saving.interruption.end()
        position = saving.broken_off()
        saved = "" if position is None else f"What was trained is saved, at {position}. "
        raise ProcessLost(world.size, reason, saved + _advice(saving)) from error


def _advice(saving: Saving) -> str:
    checkpoints = saving.folder.path
    run = checkpoints.parent
    if run.is_dir() and not any(checkpoints.glob("*.safetensors")):
        return "Nothing of it is saved; start again."
    return f"visionkit resume {shlex.quote(str(run))} goes on, with any number of processes."
