"""How commands that answer about images say how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from visionkit.progress import Progress, Silence
from visionkit.visible import visible_lines


@contextmanager
def answers_progress(answers_scroll: bool) -> Iterator[Progress]:
    """Bars on standard error, but not among answers that scroll by on the terminal: they are progress."""
    from visionkit.cli.progress import terminal_progress

    if answers_scroll:
        yield _Notes()
    else:
        with terminal_progress(stderr=True) as progress:
            yield progress


class _Notes(Silence):
    """Only notes, on standard error."""

    def note(self, text: str) -> None:
        """Print it."""
        typer.echo(visible_lines(text), err=True)
