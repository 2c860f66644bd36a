"""live.csv: how far a training is and its loss, a row every few seconds, for whoever watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from visionkit.progress import Advance, Unit
from visionkit.run_files import read_regular
from visionkit.training.progress import EpochResult, Reporter
from visionkit.training.stages import Stage

LIVE_FILE = "live.csv"
COLUMNS = ("time", "stage", "epoch", "images", "of", "loss")
SECONDS_BETWEEN = 2.0
SLOWER = 2000
"""Rows are written a 2,000th of the training's time apart at the least, so that the file stays small."""
MAX_BYTES = 1 << 24


class Moment(NamedTuple):
    """Where a training was at a moment.

    Args:
        time: seconds since 1970.
        stage: its number, from 1.
        epoch: in the stage, from 1.
        images: that the epoch had trained on.
        of: that it trains on in all.
        loss: smoothed training loss; NaN before there is one.
    """

    time: float
    stage: int
    epoch: int
    images: int
    of: int
    loss: float


@dataclass
class LiveLog:
    """A `Reporter` that writes what it hears to `folder`/live.csv, and passes it on to `reporter`.

    Where the file cannot be written, nobody can watch, and the training goes on.
    """

    folder: Path
    reporter: Reporter

    def __post_init__(self) -> None:
        self._stage = self._epoch = self._images = self._of = 0
        self._began = self._written = time.monotonic()

    def note(self, text: str) -> None:
        self.reporter.note(text)

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        with self.reporter.track(label, total, unit) as advance:
            yield advance

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        self._stage, self._epoch, self._images, self._of = stage.number, epoch, 0, images
        self._write(float("nan"))
        self.reporter.epoch_started(stage, epoch, images)

    def batch_done(self, images: int, loss: float) -> None:
        self._images += images
        now = time.monotonic()
        if now - self._written >= max(SECONDS_BETWEEN, (now - self._began) / SLOWER):
            self._write(loss)
        self.reporter.batch_done(images, loss)

    def epoch_done(self, result: EpochResult) -> None:
        self._images = self._of
        self._write(result.train_loss)
        self.reporter.epoch_done(result)

    def _write(self, loss: float) -> None:
        self._written = time.monotonic()
        file = self.folder / LIVE_FILE
        row = (f"{time.time():.1f}", self._stage, self._epoch, self._images, self._of, f"{loss:.6f}")
        with suppress(OSError), file.open("a", encoding="ascii") as lines:
            if lines.tell() == 0:
                lines.write(",".join(COLUMNS) + "\n")
            lines.write(",".join(map(str, row)) + "\n")


def read_live(folder: Path) -> list[Moment]:
    """The rows of live.csv in the order of the training: of a stage that began again, the last time.

    Rows that are damaged or not whole yet are left out; none where there is no such file.
    """
    try:
        lines = read_regular(folder / LIVE_FILE, MAX_BYTES).decode("ascii", "replace").splitlines()
    except (OSError, ValueError):
        return []
    moments: list[Moment] = []
    for line in lines:
        with suppress(ValueError, OverflowError):
            at, stage, epoch, images, of, loss = line.split(",")
            moment = Moment(float(at), int(stage), int(epoch), int(images), int(of), float(loss))
            if moment.of < 1 or not 0 <= moment.images <= moment.of:
                continue
            while moments and moments[-1][1:4] >= moment[1:4]:
                moments.pop()
            moments.append(moment)
    return moments


def remove_live(folder: Path) -> None:
    """Remove live.csv of a run that is done: batches.csv says more."""
    with suppress(OSError):
        (folder / LIVE_FILE).unlink(missing_ok=True)
