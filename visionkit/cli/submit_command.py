"""`visionkit submit RUN`: the CSV file that a competition asks for, written and uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionkit.cli.common_options import RunArgument, SettingsOption
from visionkit.errors import UsageError

HELP = (
    "Predict a competition's test images, write the submission as CSV, and upload it.\n\n"
    "The competition's sample submission, where it lies beside the test images, decides the rows and their "
    "order: each gets an answer, or nothing is written. `visionkit data RECIPE --test` fetches both."
)


def submit(
    run: RunArgument,
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
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="How near to 0 and 1 a probability may come: one confident mistake costs much. For "
            "dogscats, where it is 0.02 by default.",
            show_default=False,
        ),
    ] = None,
    upload: Annotated[
        bool,
        typer.Option(
            "--upload",
            metavar="",
            help="Hand the file in at Kaggle; one that was written before is not predicted again.",
        ),
    ] = False,
    message: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Stands beside the submission at Kaggle; by default the run's name and figures.",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Write a competition's submission and upload it; see `HELP`."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.inference.submission import submit_run
    from visionkit.inference.submission_upload import upload_run
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    if message is not None and not upload:
        raise UsageError("--message goes with --upload: without it nothing is handed in.")
    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    with terminal_progress(stderr=True) as progress:
        if upload:
            handed_in = upload_run(found, data, out, clip, message, file.store(progress))
            written = handed_in.file
        else:
            written = submit_run(found, data, out, clip, file.store(progress))
    typer.echo(written)
    if upload:
        typer.echo(f"Kaggle     {handed_in.answer}", err=True)
        typer.echo(f"scores     {handed_in.page}", err=True)
    elif found.info.get("synthetic"):
        typer.echo(
            "The run was trained on synthetic sample data; no competition wants its answers.", err=True
        )
