"""Keeping the libraries' warnings away from the user's terminal."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from multiprocessing import parent_process
from multiprocessing.queues import Queue
from types import TracebackType


def silence_libraries() -> None:
    """Ignore warnings of Python libraries and all but errors of their loggers, in worker processes too."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger().setLevel(logging.ERROR)
    logging.captureWarnings(False)
    Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]
    sys.excepthook = _of_this_process
    sys.unraisablehook = lambda _: None  # what finalizers meet after an error that is told already


def _end_worker(error: Exception, item: object) -> None:
    """What a loader process does that cannot send a batch, for want of file handles, say: it would print a
    traceback, and leave the training waiting for that batch for ever; so it says why, and ends.
    """
    if parent_process() is not None:
        from visionkit.disk_faults import system_fault

        reason = system_fault(error) or error
        print(f"A process that loads images ends: {reason}", file=sys.stderr, flush=True)
        os._exit(1)


def _of_this_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Nothing of loader processes, whose threads print what the training tells in a message."""
    if parent_process() is None:
        sys.__excepthook__(kind, error, trace)
