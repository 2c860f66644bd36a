"""A run that is to go on in its folder."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Checkpoint
from visionkit.runs import Run
from visionkit.training.stages import Stage


@dataclass(frozen=True)
class Unfinished:
    """A run that was interrupted or failed, or whose process was killed.

    Args:
        run: the run.
        checkpoint: the newest that is whole; None where it was ended before there was any.
        checkpoints: where it is from.
    """

    run: Run
    checkpoint: Checkpoint | None
    checkpoints: CheckpointFolder

    def begin(self) -> Run:
        """Write to run.json that the run is under way again, and from where; returns the run.

        What a killed process had begun to write is removed. Nobody else may be in the folder.
        """
        run = self.run
        for part in run.path.rglob(".*.part"):
            part.unlink(missing_ok=True)
        self.checkpoints.remove_damaged()
        position = {"stage": 1, "epoch": 0, "batch": 0}
        if self.checkpoint is not None:
            position = self.checkpoint.position.model_dump(include={"stage", "epoch", "batch"})
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        run.info.pop("error", None)
        run.update(
            status="running",
            pid=os.getpid(),
            host=platform.node(),
            resumed=[*run.info.get("resumed", []), {"at": now, **position}],
        )
        return run

    def announcement(self, stages: list[Stage]) -> str:
        """Where it goes on, for people."""
        if self.checkpoint is None:
            place = "from the beginning: it was ended before anything was saved"
        elif self.checkpoint.position.stage > len(stages):
            place = f"after the last of {len(stages)} stages"
        else:
            place = f"at {self.checkpoint.position} of {len(stages)} stages"
        return f"going on   {place}\nrun        {self.run.path}"
