"""Ctrl-C and SIGTERM, at which a training ends at a batch's end, and which cannot get lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from fastai.callback.core import Callback

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came, as from a scheduler that takes a machine back."""

    exit_code = 128 + signal.SIGTERM


class Interruption(Callback):
    """Raises KeyboardInterrupt once the batch under way is done, and saved; for a second signal at once.

    Where no batch is under way it raises at once. Python drops an exception that a signal raises while a
    finalizer or another callback of C code happens to run; so it is raised again after the next batch.

    A context manager for the main thread, and the last callback of the Learner, which needs `Heeding` too.

    Args:
        note: told that a training goes on to the end of its batch.
    """

    order = 95  # after checkpoints are saved

    def __init__(self, note: Callable[[str], None] = print) -> None:
        self.note = note
        self.wanted = False
        """Whether a signal has come."""
        self.asked = False
        """Whether it is time to stop; all callbacks of one event find the same."""
        self._error: type[KeyboardInterrupt] = KeyboardInterrupt
        self._in_fit = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as a script's background jobs have Ctrl-C
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        first, self.wanted = not self.wanted, True
        self._error = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if not (first and self._in_fit):
            raise self._error
        self.note("stopping   at the end of this batch, which is then saved; once more stops at once")

    def agree(self) -> None:
        """A signal that has come by now is heeded."""
        self.asked = self.wanted

    def before_fit(self) -> None:
        self._in_fit = True

    def after_batch(self) -> None:
        if not (self.training and self.iter + 1 >= self.n_iter):  # else `after_train` is next
            self._stop_if_asked()

    def after_train(self) -> None:
        self._stop_if_asked()

    def after_epoch(self) -> None:
        if self.epoch + 1 < self.n_epoch:  # else `stage_done` is next
            self._stop_if_asked()

    def part(self) -> None:
        """The stages are over, and what other processes have to do with them."""

    def stage_done(self) -> None:
        """The fit is over, and saved."""
        self._in_fit = False
        self.agree()
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.asked:
            raise self._error


class Heeding(Callback):
    """Lets an interruption look whether a signal came, at the end of batches and epochs.

    It does so before anybody saves. A signal that comes later is heeded at the next such end: otherwise one
    that comes between saving and stopping would end a training that was not saved.

    Args:
        interruption: that is to stop the training.
    """

    order = 88  # before checkpoints are saved

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def after_batch(self) -> None:
        self.interruption.agree()

    def after_train(self) -> None:
        self.interruption.agree()

    def after_epoch(self) -> None:
        self.interruption.agree()
