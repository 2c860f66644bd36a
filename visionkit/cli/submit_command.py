"""`visionkit submit RUN`: the CSV file that a competition asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionkit.cli.common_options import SettingsOption
from visionkit.inference.submission import DEFAULT_CLIP


def submit(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, a run's name, or 'last'.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder with the test images; by default that of the run's data set."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV file to write; by default submission.csv in the run folder."),
    ] = None,
    clip: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="How near to 0 and 1 a probability may come: one confident mistake costs much.",
        ),
    ] = DEFAULT_CLIP,
    settings: SettingsOption = None,
) -> None:
    """Predict a competition's test images and write the submission as CSV."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.inference.submission import submit_run
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    with terminal_progress(stderr=True) as progress:
        written = submit_run(found, data, out, clip, file.store(progress))
    if found.info.get("synthetic"):
        typer.echo(
            "The run was trained on synthetic sample data; no competition wants its answers.", err=True
        )
    typer.echo(written)
