"""The checkpoints of a run: the last two, and the newest that is whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from visionkit.checkpoints.form import Checkpoint, read_checkpoint, write_checkpoint
from visionkit.errors import VisionkitError
from visionkit.runs import CHECKPOINT_FOLDER

KEPT = 2
_NAME = re.compile(r"(\d{6,})\.safetensors")


class CheckpointFolder:
    """The folder `checkpoint` of a run.

    Args:
        run: the run's folder.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / CHECKPOINT_FOLDER
        self.damaged: list[Path] = []
        """Checkpoints that `newest` passed over."""

    def write(self, checkpoint: Checkpoint) -> Path:
        """Write `checkpoint` as the newest, then remove all but the last two.

        Raises:
            OSError: it cannot be written; those before are still there.
        """
        self.path.mkdir(exist_ok=True)
        before = self._numbers()
        number = max(before, default=0) + 1
        path = self._file(number)
        write_checkpoint(path, checkpoint)
        for old in sorted(before)[: -(KEPT - 1)]:
            self._file(old).unlink(missing_ok=True)
        return path

    def newest(self, note: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole; None where there is none.

        Args:
            note: told of each that is damaged.
        """
        for number in sorted(self._numbers(), reverse=True):
            try:
                return read_checkpoint(self._file(number))
            except VisionkitError as error:
                self.damaged.append(self._file(number))
                note(f"checkpoint {error} It is passed over.")
        return None

    def remove_damaged(self) -> None:
        """Remove what was passed over, so that it does not count as one of the last two."""
        for file in self.damaged:
            file.unlink(missing_ok=True)
        self.damaged = []

    def remove(self) -> None:
        """Remove all; the training is done."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.safetensors"

    def _numbers(self) -> list[int]:
        if not self.path.is_dir():
            return []
        return [int(found[1]) for file in self.path.iterdir() if (found := _NAME.fullmatch(file.name))]
