"""What a training says while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from visionkit.progress import PlainProgress, Progress, Silence
from visionkit.training.stages import Stage


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch. Losses are means over the epoch's images; `seconds` covers training and
    validation, `wait_percent` the share of the training in which a step waited for its batch.
    """

    stage: Stage
    epoch: int
    lr: float
    train_loss: float
    valid_loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    images_per_s: float = 0.0
    wait_percent: float = 0.0

    def line(self) -> str:
        """The epoch in one line of text."""
        waiting = f", {self.wait_percent:.0f} % waiting for data" if self.wait_percent >= 0.5 else ""
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return (
            f"{self.stage.size} px {self.stage.name:8s} epoch {self.epoch:>2d}/{self.stage.epochs}  "
            f"train_loss {self.train_loss:.4f}  valid_loss {self.valid_loss:.4f}  {figures}  "
            f"{self.seconds:.1f} s  {self.images_per_s:.0f} images/s{waiting}"
        )


class Reporter(Progress, Protocol):
    """Receives what a training says; the command line shows it as bars or lines."""

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        """An epoch begins, which trains on `images` images."""

    def batch_done(self, images: int, loss: float) -> None:
        """`images` more images were trained on; `loss` is the smoothed training loss."""

    def epoch_done(self, result: EpochResult) -> None:
        """An epoch and its validation are over."""


class PlainReporter(PlainProgress):
    """One plain line an epoch on standard output."""

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        """Says nothing: lines are for what is finished."""

    def batch_done(self, images: int, loss: float) -> None:
        """Says nothing."""

    def epoch_done(self, result: EpochResult) -> None:
        self.note(result.line())


class Unheard(Silence):
    """Says nothing: of several processes that train together, the first one tells."""

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        """Says nothing."""

    def batch_done(self, images: int, loss: float) -> None:
        """Says nothing."""

    def epoch_done(self, result: EpochResult) -> None:
        """Says nothing."""
