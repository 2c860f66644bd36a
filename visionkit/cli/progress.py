"""A training's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from visionkit.cli.console import SafeConsole
from visionkit.progress import Advance, PlainProgress, Progress, Unit, amount, quantity
from visionkit.training.progress import EpochResult, PlainReporter, Reporter
from visionkit.training.stages import Stage
from visionkit.visible import visible


class BarProgress:
    """A bar for the work under way, with rate and remaining time."""

    def __init__(self, progress: Bars) -> None:
        self.progress = progress

    def note(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        task = self.progress.add_task(visible(label), total=total, text="")
        done, started = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = int(done / max(time.monotonic() - started, 1e-3))
            text = f"{amount(done, total, unit)}, {quantity(rate, unit)}/s"
            self.progress.update(task, advance=count, text=text)

        try:
            yield advance
        finally:
            self.progress.remove_task(task)


class BarReporter(BarProgress):
    """Besides, a bar for the epoch under way, and a line for each finished one."""

    def __init__(self, progress: Bars) -> None:
        super().__init__(progress)
        self.task: TaskID | None = None

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        if self.task is not None:  # of an epoch that was given up, to begin its stage again
            self.progress.remove_task(self.task)
        text = f"{stage.size} px {stage.name} epoch {epoch}/{stage.epochs}"
        self.task = self.progress.add_task(text, total=images, text="")

    def batch_done(self, images: int, loss: float) -> None:
        if self.task is None:
            return
        speed = self.progress.tasks[-1].speed
        rate = f"{speed:.0f} images/s " if speed else ""
        self.progress.update(self.task, advance=images, text=f"{rate}loss {loss:.4f}")

    def epoch_done(self, result: EpochResult) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None
        self.note(result.line())


@contextmanager
def terminal_reporter() -> Iterator[Reporter]:
    """Bars where standard output is a terminal, else one plain line an epoch."""
    console = SafeConsole(emoji=False)
    if not console.can_redraw:
        yield PlainReporter()
        return
    with _bars(console) as progress:
        yield BarReporter(progress)


@contextmanager
def terminal_progress(stderr: bool = False) -> Iterator[Progress]:
    """Bars where standard output (or standard error) is a terminal, else a plain line now and then."""
    console = SafeConsole(stderr=stderr, emoji=False)
    if not console.can_redraw:
        yield PlainProgress(sys.stderr if stderr else sys.stdout)
        return
    with _bars(console) as progress:
        yield BarProgress(progress)


def _bars(console: SafeConsole) -> Bars:
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeRemainingColumn(),
    )
    # standard output stays what it is where the bars are on standard error
    return Bars(*columns, console=console, transient=True, redirect_stdout=not console.stderr)


def wait_message(text: str) -> AbstractContextManager[Any]:
    """A spinner while something slow happens, on a terminal only."""
    console = SafeConsole(emoji=False)
    return console.status(text) if console.can_redraw else nullcontext()
