"""A training's progress in a notebook: one display of its cell, brought up to date while the cell runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from threading import RLock
from typing import Any

from visionkit.errors import VisionkitError
from visionkit.progress import Advance, Unit, amount, quantity
from visionkit.runs import RUN_FILE, Run
from visionkit.training.progress import EpochResult, PlainReporter, Reporter
from visionkit.training.stages import Stage
from visionkit.visible import visible, visible_lines

SECONDS_BETWEEN = 0.25
"""A bar moves so often at most; every update is a message to the browser."""


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, whichever program shows it."""
    if sys.modules.get("IPython") is None:  # then it does not, and IPython need not be installed
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def default_reporter() -> Reporter:
    """A display in a notebook, lines elsewhere."""
    return NotebookReporter() if in_notebook() else PlainReporter()


@contextmanager
def reporting(reporter: Reporter | None, folder: Path) -> Iterator[Reporter]:
    """Who is told about a training: `reporter`, or where None, a display in a notebook and lines elsewhere.

    Where None, a KeyboardInterrupt that leaves a run to go on with says how to do that in Python.

    Args:
        reporter: as the caller gave it.
        folder: of the run.
    """
    if reporter is not None:
        yield reporter
        return
    told = default_reporter()
    try:
        yield told
    except KeyboardInterrupt as error:
        if not _is_interrupted(folder):
            raise
        # a new one, for the way through fastai down to the batch would only hide the message
        raise type(error)(f"visionkit.resume({_quoted(folder)}) goes on with this run") from None
    finally:
        if isinstance(told, NotebookReporter):
            told.close()


def _is_interrupted(folder: Path) -> bool:
    try:
        return (folder / RUN_FILE).is_file() and Run.read(folder).status == "interrupted"
    except VisionkitError:
        return False


def _quoted(folder: Path) -> str:
    return json.dumps(str(folder), ensure_ascii=False)


class _Bar:
    """Work under way."""

    def __init__(self, label: str, total: int | None, unit: Unit) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.started = 0, time.monotonic()
        self.more, self.shown = "", False

    def text(self) -> str:
        """What it is, how far, and how fast."""
        if self.total and self.done >= self.total:
            return f"{self.label}  {quantity(self.total, self.unit)}{self.more}"
        seconds = time.monotonic() - self.started
        rate = f", {quantity(int(self.done / seconds), self.unit)}/s" if self.done and seconds > 0.1 else ""
        return f"{self.label}  {amount(self.done, self.total, self.unit)}{rate}{self.more}"

    def html(self) -> str:
        """Without a total, the bar only says that something is done."""
        place = f' value="{min(self.done, self.total)}" max="{self.total}"' if self.total else ""
        style = "width: 20em; vertical-align: middle"
        return f'<div><progress{place} style="{style}"></progress> {escape(visible(self.text()))}</div>'


class NotebookReporter:
    """A `Reporter` for notebooks: notes, bars of what is under way, and a table of the finished epochs.

    All of it is one display, in the cell where something is said first. Where HTML is not shown, as in a
    terminal, it is the lines that `PlainReporter` prints. It serves as `Progress` of other work too, such as
    `visionkit.evaluation.evaluating.evaluate(…, progress=NotebookReporter())`.
    """

    def __init__(self) -> None:
        self._said: list[str | EpochResult] = []
        self._bars: list[_Bar] = []
        self._epoch: _Bar | None = None
        self._display: Any = None
        self._shown = 0.0
        self._lock = RLock()  # downloads advance in threads; a note may come from a signal's handler

    def note(self, text: str) -> None:
        with self._lock:
            self._said.append(text)
            self._show()

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        bar = self._begin(label, total, unit)

        def advance(count: int) -> None:
            with self._lock:
                bar.done += count
                if time.monotonic() - bar.started >= SECONDS_BETWEEN:  # what is quickly done is no news
                    bar.shown = True
                    self._show(soon=True)

        try:
            yield advance
        finally:
            self._end(bar)

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None:
        with self._lock:
            self._said = [each for each in self._said if not _is_repeated(each, stage, epoch)]
            self._end(self._epoch)  # of an epoch that was given up, to begin its stage again
            label = f"{stage.size} px {stage.name} epoch {epoch}/{stage.epochs}"
            self._epoch = self._begin(label, images, "images")
            self._epoch.shown = True
            self._show()

    def batch_done(self, images: int, loss: float) -> None:
        with self._lock:
            if self._epoch is None:
                return
            self._epoch.done += images
            ended = self._epoch.total is not None and self._epoch.done >= self._epoch.total
            self._epoch.more = f", loss {loss:.4f}{', validating' if ended else ''}"
            self._show(soon=not ended)

    def epoch_done(self, result: EpochResult) -> None:
        with self._lock:
            self._said.append(result)
            self._end(self._epoch)
            self._epoch = None

    def close(self) -> None:
        """Take away the bars of work that was broken off."""
        with self._lock:
            shown, self._bars, self._epoch = self._shown_bars(), [], None
            if shown:
                self._show()

    def html(self) -> str:
        """All of it for a browser."""
        notes = [visible_lines(each) for each in self._said if isinstance(each, str)]
        rows = [each for each in self._said if isinstance(each, EpochResult)]
        text = f"<pre>{escape(chr(10).join(notes))}</pre>" if notes else ""
        return f"<div>{text}{''.join(bar.html() for bar in self._shown_bars())}{_table(rows)}</div>"

    def text(self) -> str:
        """All of it as lines, in the order in which it was said."""
        lines = [visible_lines(each if isinstance(each, str) else each.line()) for each in self._said]
        return "\n".join([*lines, *(visible(bar.text()) for bar in self._shown_bars())])

    def _shown_bars(self) -> list[_Bar]:
        return [bar for bar in self._bars if bar.shown]

    def _begin(self, label: str, total: int | None, unit: Unit) -> _Bar:
        bar = _Bar(label, total, unit)
        with self._lock:
            self._bars.append(bar)
        return bar

    def _end(self, bar: _Bar | None) -> None:
        with self._lock:
            if bar is not None and bar in self._bars:
                self._bars.remove(bar)
                if bar.shown:
                    self._show()

    def _show(self, soon: bool = False) -> None:
        """Bring the display up to date; with `soon`, only where it has not just been."""
        now = time.monotonic()
        if soon and now - self._shown < SECONDS_BETWEEN:
            return
        from IPython.display import display

        self._shown = now
        data = {"text/html": self.html(), "text/plain": self.text()}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)


def _is_repeated(said: str | EpochResult, stage: Stage, epoch: int) -> bool:
    """Whether it is of an epoch that is trained again, since its stage began again."""
    return isinstance(said, EpochResult) and said.stage.number == stage.number and said.epoch >= epoch


def _table(epochs: list[EpochResult]) -> str:
    """A row an epoch, as fastai's users know it."""
    if not epochs:
        return ""
    heads = ["stage", "epoch", "train_loss", "valid_loss", *epochs[-1].metrics, "time"]
    rows = [
        [
            f"{each.stage.size} px {each.stage.name}",
            f"{each.epoch}/{each.stage.epochs}",
            *(f"{value:.4f}" for value in (each.train_loss, each.valid_loss, *each.metrics.values())),
            f"{int(each.seconds) // 60:02d}:{int(each.seconds) % 60:02d}",
        ]
        for each in epochs
    ]
    return f'<table class="dataframe"><thead>{_row("th", heads)}</thead><tbody>{_rows(rows)}</tbody></table>'


def _rows(rows: list[list[str]]) -> str:
    return "".join(_row("td", row) for row in rows)


def _row(cell: str, texts: list[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(visible(text))}</{cell}>' for text in texts)}</tr>"
