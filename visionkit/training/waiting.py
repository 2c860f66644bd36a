"""How long a training waits for its data."""

from __future__ import annotations

import time

from fastai.callback.core import Callback


class Waiting(Callback):
    """Adds up the seconds between the end of a training batch, or the start of the epoch, and the next one.

    Whatever the DataLoader does in the training's own process is in them: collating, copying, transforms of
    batches. `batch_ended` must be called when a batch is done.
    """

    order = -100  # before anything else is done with a batch
    run_valid = False

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = time.perf_counter()

    def before_epoch(self) -> None:
        self.seconds = 0.0
        self.batch_ended()

    def before_batch(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def batch_ended(self) -> None:
        """From now on the training waits for the next batch."""
        self._since = time.perf_counter()
