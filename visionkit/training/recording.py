"""The callback that writes history.csv and batches.csv and tells the reporter."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor

from visionkit.atomic import write_atomically
from visionkit.runs import AFTER_METRICS, BATCHES_FILE, BEFORE_METRICS, HISTORY_FILE
from visionkit.training.progress import EpochResult, Reporter
from visionkit.training.stages import Stage
from visionkit.training.waiting import Waiting

TELL_EVERY = 0.5
"""Seconds after which the reporter hears of a training again: the GPU is waited for each time."""


_TOTALS = ("trained_images", "training_seconds", "waited_seconds")


class Recording(Callback):
    """Keeps one row an epoch and one a batch, over all stages of a run.

    Losses stay on the device as they come, and are read when the reporter is told and when the epoch is over.
    `stage` must be set before each `fit_one_cycle`.

    Args:
        folder: of the run.
        reporter: told about epochs, and of batches now and then.
        waiting: measures the wait for data; another callback of the same Learner.
    """

    order = 60  # after fastai's Recorder (50), whose figures it reads

    def __init__(self, folder: Path, reporter: Reporter, waiting: Waiting) -> None:
        self.folder = folder
        self.reporter = reporter
        self.waiting = waiting
        self.stage: Stage | None = None
        self.epochs: list[EpochResult] = []
        self.batches: list[tuple[int, float, float, float]] = []
        self.trained_images, self.training_seconds, self.waited_seconds = 0, 0.0, 0.0
        self._unread: list[tuple[int, float, float, Tensor]] = []
        self._under_way = False

    @property
    def wait_percent(self) -> float:
        """The share of the whole training, validation left out, in which a step waited for its batch."""
        return _percent(self.waited_seconds, self.training_seconds)

    @property
    def steps(self) -> int:
        """Training batches recorded so far, over all stages."""
        return len(self.batches) + len(self._unread)

    def forget(self, stage: Stage) -> None:
        """Drop the rows of `stage`, which starts again; the time that it took still counts for the run."""
        self._unread, self._under_way = [], False
        self.epochs = [row for row in self.epochs if row.stage.number != stage.number]
        self.batches = [row for row in self.batches if row[0] != stage.number]

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All rows so far, and of the epoch under way what it has counted."""
        self._read()
        batches = torch.tensor(self.batches, dtype=torch.float64).reshape(-1, 4)
        values = {name: getattr(self, name) for name in _TOTALS}
        values["epochs"] = [asdict(row) for row in self.epochs]
        if self._under_way:
            values["epoch"] = {
                "images": self._images,
                "seconds": time.perf_counter() - self._started,
                "training_seconds": self._training_seconds,
                "waited": self.waiting.seconds,
            }
        return {"batches": batches}, values

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        self.batches = [(int(stage), *rest) for stage, *rest in tensors["batches"].tolist()]
        for name in _TOTALS:
            setattr(self, name, values[name])
        self.epochs = [EpochResult(**{**row, "stage": Stage(**row["stage"])}) for row in values["epochs"]]
        if self._under_way and "epoch" in values:
            epoch = values["epoch"]
            self._images, self._training_seconds = epoch["images"], epoch["training_seconds"]
            self._started = time.perf_counter() - epoch["seconds"]
            self.waiting.seconds = epoch["waited"]

    def metrics_of(self, stage: int, epoch: int) -> dict[str, float]:
        """The figures of an epoch: number of its stage, and in it, both from 1."""
        return next(row.metrics for row in self.epochs if (row.stage.number, row.epoch) == (stage, epoch))

    def before_epoch(self) -> None:
        if self.stage is not None:
            self._under_way = True
            self._started = self._told = time.perf_counter()
            self._images, self._untold, self._training_seconds = 0, 0, 0.0
            self._unread = []
            self.reporter.epoch_started(self.stage, self.epoch + 1, self.dls.train.bs * len(self.dls.train))

    def after_batch(self) -> None:
        if self.stage is None or not self.training:
            return
        images = getattr(self.learn, "batch_images", None) or len(self.xb[0])  # of all processes
        self._images += images
        self._untold += images
        rates = self.opt.hypers[-1]
        self._unread.append((self.stage.number, float(rates["lr"]), float(rates["mom"]), self.loss.detach()))
        if time.perf_counter() - self._told >= TELL_EVERY:
            self._tell()
        self.waiting.batch_ended()

    def after_train(self) -> None:
        if self.stage is not None:
            if self._untold:
                self._tell()
            self._training_seconds = time.perf_counter() - self._started

    def after_epoch(self) -> None:
        if self.stage is None:
            return
        self._read()
        names = self.recorder.metric_names[1:-1]  # without "epoch" and "time"
        figures = dict(zip(names, (float(value) for value in self.recorder.values[-1])))
        result = EpochResult(
            stage=self.stage,
            epoch=self.epoch + 1,
            lr=self.batches[-1][1],
            train_loss=figures.pop("train_loss"),
            valid_loss=figures.pop("valid_loss"),
            metrics=figures,
            seconds=time.perf_counter() - self._started,
            images_per_s=self._images / max(self._training_seconds, 1e-9),
            wait_percent=_percent(self.waiting.seconds, self._training_seconds),
        )
        self.trained_images += self._images
        self.training_seconds += self._training_seconds
        self.waited_seconds += self.waiting.seconds
        self.epochs.append(result)
        self._under_way = False
        self._write()
        self.reporter.epoch_done(result)

    def _tell(self) -> None:
        self.reporter.batch_done(self._untold, float(self.smooth_loss))
        self._told, self._untold = time.perf_counter(), 0

    def _read(self) -> None:
        """Take the losses of the epoch from the device, all at once."""
        if self._unread:
            losses = torch.stack([loss for *_, loss in self._unread]).tolist()
            self.batches += [(*row[:3], loss) for row, loss in zip(self._unread, losses)]
            self._unread = []
            self.recorder.losses[:] = torch.stack(self.recorder.losses).cpu().unbind()

    def _write(self) -> None:
        metrics = list(self.epochs[-1].metrics)
        header = [*BEFORE_METRICS, *metrics, *AFTER_METRICS]
        rows = [
            [
                row.stage.number, row.stage.size, row.epoch, f"{row.lr:.6g}",
                f"{row.train_loss:.6f}", f"{row.valid_loss:.6f}",
                *(f"{row.metrics[name]:.6f}" for name in metrics),
                f"{row.seconds:.3f}", f"{row.images_per_s:.1f}", f"{row.wait_percent:.1f}",
            ]
            for row in self.epochs
        ]  # fmt: skip
        write_atomically(self.folder / HISTORY_FILE, csv_text(header, rows))
        batches = [[stage, f"{lr:.6g}", f"{mom:.6g}", f"{loss:.6f}"] for stage, lr, mom, loss in self.batches]
        write_atomically(self.folder / BATCHES_FILE, csv_text(["stage", "lr", "mom", "loss"], batches))


def _percent(part: float, whole: float) -> float:
    return 100 * part / max(whole, 1e-9)


def csv_text(header: list[str], rows: list[list[Any]]) -> str:
    """A CSV table as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
