"""A training's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from visionkit.training.progress import EpochResult, PlainReporter, Reporter
from visionkit.training.stages import Stage


class BarReporter:
    """A bar for the epoch under way, with rate and remaining time, and a line for each finished one."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task: TaskID | None = None
        self.images = 0

    def note(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        text = f"{stage.size} px {stage.name} epoch {epoch}/{stage.epochs}"
        self.task = self.progress.add_task(text, total=images, loss="", rate="")

    def batch_done(self, images: int, loss: float) -> None:
        if self.task is None:
            return
        self.progress.update(self.task, advance=images, loss=f"loss {loss:.4f}")
        speed = self.progress.tasks[-1].speed
        self.progress.update(self.task, rate=f"{speed:.0f} images/s" if speed else "")

    def epoch_done(self, result: EpochResult) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None
        self.note(result.line())


@contextmanager
def terminal_reporter() -> Iterator[Reporter]:
    """Bars where standard output is a terminal, else one plain line an epoch."""
    console = Console()
    if not console.is_terminal:
        yield PlainReporter()
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[rate]} {task.fields[loss]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarReporter(progress)


def wait_message(text: str) -> AbstractContextManager[Any]:
    """A spinner while something slow happens, on a terminal only."""
    console = Console()
    return console.status(text) if console.is_terminal else nullcontext()
