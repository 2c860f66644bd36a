"""Ctrl-C that cannot get lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from fastai.callback.core import Callback


class Interruption(Callback):
    """Raises KeyboardInterrupt at once, and again after the batch if that was swallowed.

    Python drops an exception that a signal raises while a finalizer or another callback of C code happens to
    run. A context manager for the main thread; as a callback of the Learner it looks again after every batch.
    """

    order = -50

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interruption:
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as a script's background jobs have it
        if threading.current_thread() is threading.main_thread() and not ignored:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt

    def after_batch(self) -> None:
        if self.asked:
            raise KeyboardInterrupt
