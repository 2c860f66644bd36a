"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionkit.cli.completion import complete_runs, completing

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run folder, a run's name, or 'last'.", autocompletion=complete_runs
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER|SOURCE",
        help="Folder of the data set, where you have it, or a source such as fastai:PETS.",
        rich_help_panel="Data",
        show_default=False,
    ),
]
SampleOption = Annotated[
    bool,
    typer.Option(
        "--sample",
        metavar="",
        help="Use a small synthetic data set, drawn by visionkit.",
        rich_help_panel="Data",
        show_default=False,
    ),
]
ListOption = Annotated[
    bool,
    typer.Option(
        "--list",
        metavar="",
        help="List what the data set has to choose from, and stop.",
        rich_help_panel="Data",
        show_default=False,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Say what would happen, and about how long it would take, without training.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="What to write: run folder or picture. By default a new name.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="Settings file instead of ./settings.ini.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
BatchOption = Annotated[
    int,
    typer.Option(
        "--bs", metavar="INTEGER", min=1, help="Images computed at once.", rich_help_panel="Machine"
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps.",
        rich_help_panel="Machine",
        autocompletion=completing(["auto", "cpu", "cuda", "mps"]),
    ),
]
