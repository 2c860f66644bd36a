"""`visionkit doctor`: what is on this machine, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import SettingsOption

if TYPE_CHECKING:
    from visionkit.doctor.findings import Findings

HELP = (
    "Print versions, device, precision, memory, disks, data sets, settings and which credentials are present "
    "(never their value), and say what is wrong.\n\n"
    "Nothing is written, made or fetched. Exit code 1 where something keeps a training from working."
)


def doctor(
    json_output: Annotated[
        bool, typer.Option("--json", metavar="", help="Print everything as JSON.", rich_help_panel="Output")
    ] = False,
    settings_file: SettingsOption = None,
) -> None:
    """Examine this machine; see `HELP`."""
    from visionkit.doctor.examining import examine

    found = examine(settings_file)
    if json_output:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print(found)
    if not found.works:
        raise typer.Exit(1)


def _print(found: Findings) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from visionkit.cli.tables import wide_console
    from visionkit.visible import visible

    console = wide_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("topic", "what", "found"):
        table.add_column(name, overflow="fold", no_wrap=name != "found")
    for topic in found.topics:
        for place, (name, text) in enumerate(topic.facts.items()):
            title = topic.title if place == 0 else ""
            last = place == len(topic.facts) - 1
            table.add_row(title, escape(visible(name)), escape(visible(text)), end_section=last)
    console.print(table)
    if not found.problems:
        console.print("problems   none")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "what is wrong", "what to do"):
        table.add_column(name, overflow="fold", no_wrap=not name)
    for each in found.problems:
        style = "red" if each.stops else "yellow"
        kind = "error" if each.stops else "warning"
        table.add_row(kind, escape(visible(each.what)), escape(visible(each.remedy)), style=style)
    console.print(table)
