"""`visionkit plot RUN`: the plots of a run, drawn again."""

from __future__ import annotations

from typing import Annotated

import typer

from visionkit.cli.common_options import RunArgument, SettingsOption
from visionkit.visible import visible


def plot(
    run: RunArgument,
    svg: Annotated[
        bool,
        typer.Option(
            "--svg",
            help="Write each plot as SVG too, beside its PNG: sharp at any size, and its text stays text.",
            rich_help_panel="Output",
        ),
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Draw a run: losses, schedule, metrics, and its predictions beside the truth."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.reporting.plots import plot_run
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    with terminal_progress(stderr=True) as progress:
        pictures = plot_run(found, store=file.store(progress), svg=svg)
    for picture in pictures:
        typer.echo(visible(picture))
