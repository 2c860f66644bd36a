"""The callback that writes history.csv and batches.csv and tells the reporter."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback

from visionkit.atomic import write_atomically
from visionkit.runs import BATCHES_FILE, HISTORY_FILE
from visionkit.training.progress import EpochResult, Reporter
from visionkit.training.stages import Stage


class Recording(Callback):
    """Keeps one row an epoch and one a batch, over all stages of a run.

    `stage` must be set before each `fit_one_cycle`.
    """

    order = 60  # after fastai's Recorder (50), whose figures it reads

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self.folder = folder
        self.reporter = reporter
        self.stage: Stage | None = None
        self.epochs: list[EpochResult] = []
        self.batches: list[tuple[int, float, float, float]] = []
        self.trained_images, self.training_seconds = 0, 0.0

    def before_epoch(self) -> None:
        if self.stage is not None:
            self._started = time.perf_counter()
            self._images, self._training_seconds = 0, 0.0
            self.reporter.epoch_started(self.stage, self.epoch + 1, self.dls.train.bs * len(self.dls.train))

    def after_batch(self) -> None:
        if self.stage is None or not self.training:
            return
        self._images += len(self.xb[0])
        loss = float(self.smooth_loss)
        rates = self.opt.hypers[-1]
        figures = float(rates["lr"]), float(rates["mom"]), float(self.loss.detach())
        self.batches.append((self.stage.number, *figures))
        self.reporter.batch_done(len(self.xb[0]), loss)

    def after_train(self) -> None:
        if self.stage is not None:
            self._training_seconds = time.perf_counter() - self._started

    def after_epoch(self) -> None:
        if self.stage is None:
            return
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
        )
        self.trained_images += self._images
        self.training_seconds += self._training_seconds
        self.epochs.append(result)
        self._write()
        self.reporter.epoch_done(result)

    def _write(self) -> None:
        metrics = list(self.epochs[-1].metrics)
        header = [
            "stage",
            "size",
            "epoch",
            "lr",
            "train_loss",
            "valid_loss",
            *metrics,
            "seconds",
            "images_per_s",
        ]
        rows = [
            [
                row.stage.number, row.stage.size, row.epoch, f"{row.lr:.6g}",
                f"{row.train_loss:.6f}", f"{row.valid_loss:.6f}",
                *(f"{row.metrics[name]:.6f}" for name in metrics),
                f"{row.seconds:.3f}", f"{row.images_per_s:.1f}",
            ]
            for row in self.epochs
        ]  # fmt: skip
        write_atomically(self.folder / HISTORY_FILE, csv_text(header, rows))
        batches = [[stage, f"{lr:.6g}", f"{mom:.6g}", f"{loss:.6f}"] for stage, lr, mom, loss in self.batches]
        write_atomically(self.folder / BATCHES_FILE, csv_text(["stage", "lr", "mom", "loss"], batches))


def csv_text(header: list[str], rows: list[list[Any]]) -> str:
    """A CSV table as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
