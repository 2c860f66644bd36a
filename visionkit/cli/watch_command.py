"""`visionkit watch RUN`: a training under way, in the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import RunArgument, SettingsOption

if TYPE_CHECKING:
    from rich.console import Group

    from visionkit.cli.console import SafeConsole
    from visionkit.runs import Run

HELP = (
    "Watch a training in the terminal: its losses as they fall, where it is, how long it will take.\n\n"
    "It may run in another terminal, or on a machine whose run folder is to be seen here. Ctrl-C ends the "
    "watching, not the training. Where the output is no terminal, it is drawn once."
)


def watch(
    run: RunArgument = "last",
    seconds: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.2, help="How often it is drawn anew.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Draw it once, and stop.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Watch a training; see `HELP`."""
    from rich.live import Live

    from visionkit.cli.console import SafeConsole
    from visionkit.runs import Run, find_run
    from visionkit.settings_file import SettingsFile

    found = find_run(run, SettingsFile.read(settings).paths().runs)
    console = SafeConsole(emoji=False)
    if once or not console.can_redraw:
        console.print(_drawn(found, console))
        return
    try:
        with Live(_drawn(found, console), console=console, auto_refresh=False) as live:
            while found.status == "running":
                time.sleep(seconds)
                found = Run.read(found.path)
                live.update(_drawn(found, console), refresh=True)
    except KeyboardInterrupt:  # the usual way to leave
        return


def _drawn(run: Run, console: SafeConsole) -> Group:
    """The chart and what is said below it."""
    from rich.console import Group
    from rich.text import Text

    from visionkit.live.drawing import chart, words
    from visionkit.live.view import view
    from visionkit.visible import visible

    seen = view(run)
    plain = not console.is_terminal or console.encoding.lower() not in ("utf-8", "utf8")
    said = [Text(visible(line)) for line in words(seen)]
    if not seen.training and not seen.validation:
        return Group(
            *said, Text("No batch is trained yet." if seen.status == "running" else "Nothing was trained.")
        )
    height = min(24, console.height - len(said) - 2) if console.can_redraw else 20
    return Group(Text.from_ansi(chart(seen, min(console.width, 110), height, plain=plain)), *said)
