"""Ctrl-C and SIGTERM in a training by several processes: all stop after the same batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FrameType, TracebackType

from fastai.callback.core import Callback

from visionkit.checkpoints.saving import Saving
from visionkit.distributed.world import ALONE, World
from visionkit.training.interruption import Interruption

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
        self.wanted = False
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
        self._when, agreed = now, self.asked
        super()._ask(number, frame)
        self.wanted, self.asked = True, agreed

    def agree(self) -> None:
        """Ask the others; all of them call this at the same place."""
        self.asked = self.world.agreed(self.wanted)

    def part(self) -> None:
        """The stages are over: this process goes on by itself."""
        self.world = ALONE

    def stage_done(self) -> None:
        self.agree()
        super().stage_done()


class AgreedStop(Callback):
    """Has the processes agree on stopping, after each training batch and before anybody saves.

    What each has done by then it tells `Saving`, for where another process is gone.

    Args:
        interruption: of this process.
    """

    order = Saving.order - 2

    def __init__(self, interruption: AgreedInterruption) -> None:
        self.interruption = interruption

    def before_fit(self) -> None:
        self.learn.saving.reached = None

    def before_batch(self) -> None:
        if self.training:
            self.learn.saving.reached = self.epoch, self.iter

    def after_batch(self) -> None:
        if self.training:
            self.learn.saving.reached = self.epoch, self.iter + 1
            self.interruption.agree()

    def after_train(self) -> None:
        self.interruption.agree()

    def after_epoch(self) -> None:
        self.learn.saving.reached = self.epoch + 1, 0
        self.interruption.agree()


def interruption_in(world: World, note: Callable[[str], None]) -> Interruption:
    """What hears of signals."""
    return Interruption(note) if world.size == 1 else AgreedInterruption(world, note)


def agreeing_callbacks(interruption: Interruption) -> list[Callback]:
    """The callbacks that it needs besides itself."""
    return [AgreedStop(interruption)] if isinstance(interruption, AgreedInterruption) else []
