"""`visionkit report RUN`: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionkit.cli.common_options import RunArgument, SettingsOption
from visionkit.visible import visible

HELP = (
    "Write a run as one HTML file, to look at in a browser and to send to somebody.\n\n"
    "Results with intervals, examples, data, training and environment; pictures are inside, nothing is "
    "loaded from the network. A training writes it at its end; this writes it again, or for a run that was "
    "broken off."
)


def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file; report.html in the run folder by default.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser.", rich_help_panel="Output")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Write a run as one HTML file; see `HELP`."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.report.page import write_report
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    with terminal_progress(stderr=True) as progress:
        written = write_report(found, file.store(progress), out=out, progress=progress)
    typer.echo(visible(written))
    if browser:
        typer.launch(str(written))
