"""Stages with batches as large as fit, and what becomes of one that runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.distributed as dist
from fastai.learner import Learner

from visionkit.errors import VisionkitError
from visionkit.training.batch_size import SMALLEST, largest_batch
from visionkit.training.memory import ran_out_of_memory
from visionkit.training.snapshot import Snapshot
from visionkit.training.stages import Stage


class BatchSizes:
    """The batch size of each stage in turn, for `--bs auto`.

    Args:
        images: how many an epoch trains on.
        note: told which size was chosen.
        given: sizes of the first stages, from a run that is reproduced; the others are found out.
    """

    def __init__(self, images: int, note: Callable[[str], None], given: Sequence[int] = ()) -> None:
        self.images, self.note, self.given = images, note, given
        self.chosen: list[int] = []
        """Those of the finished stages."""

    def train(
        self, learn: Learner, stage: Stage, fit: Callable[[int], None], forget: Callable[[], None]
    ) -> None:
        """Train `stage` with the largest batches that fit, and again with half of them where memory runs out.

        Args:
            learn: with an optimiser, frozen as the stage wants, and DataLoaders at its size.
            stage: what is trained.
            fit: trains it from its start, with batches of this size.
            forget: called before the stage starts again, with weights and random states as at its beginning.

        Raises:
            VisionkitError: not even two images fit.
        """
        before = Snapshot(learn)
        size = self._first(learn, stage)
        while True:
            try:
                fit(size)
                break
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
                if size <= SMALLEST:
                    raise out_of_memory(size, stage) from error
            self.note(
                f"stage {stage.number}: memory ran out with batches of {size}; it starts again with "
                f"{max(SMALLEST, size // 2)}"
            )
            size = max(SMALLEST, size // 2)
            before.restore()
            forget()
        self.chosen.append(size)

    def _first(self, learn: Learner, stage: Stage) -> int:
        done = len(self.chosen)
        if done < len(self.given):
            return self.given[done]
        found = largest_batch(learn, self.images)
        self.note(f"stage {stage.number}: {found}")
        return found.size


def out_of_memory(size: int, stage: Stage) -> VisionkitError:
    """What to do when memory has run out."""
    advice = "Lower --size, or take a smaller --arch"
    if size > SMALLEST:
        alone = ", or let --bs auto find the largest batch that fits" if not dist.is_initialized() else ""
        advice = f"Lower --bs or --size{alone}"
    return VisionkitError(f"memory ran out with batches of {size} images at {stage.size} px. {advice}.")
