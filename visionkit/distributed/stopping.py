"""Ctrl-C and SIGTERM in a training by several processes: all stop after the same batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FrameType, TracebackType

from visionkit.distributed.world import ALONE, World
from visionkit.training.interruption import Heeding, Interruption

AGAIN = 3.0
"""Seconds within which a second signal is the first one: a terminal and torchrun both pass on Ctrl-C."""


class AgreedInterruption(Interruption):
    """An interruption that every process hears of before any of them stops.

    Args:
        world: the processes.
        note: see `Interruption`.
    """

    def __init__(self, world: World, note: Callable[[str], None] = print) -> None:
        super().__init__(note)
        self.world = world
        self._when, self._ending = 0.0, False

    def end(self) -> None:
        """This process is about to end, and first saves and says why; signals cannot hurry it any more."""
        self._ending = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ending:
            super().__exit__(kind, error, trace)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._ending:  # torchrun sends SIGTERM to those that are left
            return
        now = time.monotonic()
        if self.wanted and now - self._when < AGAIN:
            return
        self._when = now
        super()._ask(number, frame)

    def agree(self) -> None:
        """Ask the others; all of them call this at the same place."""
        self.asked = self.world.agreed(self.wanted)

    def _stop_if_asked(self) -> None:
        if self.asked:  # wait until the first one has saved: torchrun ends it where another one ends sooner
            self.world.gathered(None)
        super()._stop_if_asked()

    def part(self) -> None:
        """The stages are over: this process goes on by itself."""
        self.world = ALONE


class AgreedHeeding(Heeding):
    """Has the processes agree on stopping, after each batch that all of them have.

    That is every one but the last of a validation, which may have too few images for all.

    What each has done by then it tells `Saving`, for where another process is gone.
    """

    def before_fit(self) -> None:
        self.learn.saving.reached = None

    def before_batch(self) -> None:
        if self.training:
            self.learn.saving.reached = self.epoch, self.iter

    def after_batch(self) -> None:
        if self.training:
            self.learn.saving.reached = self.epoch, self.iter + 1
        if self.training or self.iter + 1 < self.n_iter:
            super().after_batch()

    def after_epoch(self) -> None:
        self.learn.saving.reached = self.epoch + 1, 0
        super().after_epoch()


def interruption_in(world: World, note: Callable[[str], None]) -> tuple[Interruption, Heeding]:
    """What hears of signals, and what has it heed them."""
    if world.size == 1:
        alone = Interruption(note)
        return alone, Heeding(alone)
    agreed = AgreedInterruption(world, note)
    return agreed, AgreedHeeding(agreed)
