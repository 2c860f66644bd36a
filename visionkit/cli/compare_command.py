"""`visionkit compare RUN…`: several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import SettingsOption
from visionkit.cli.completion import complete_runs
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.report.comparing import Comparison

HELP = (
    "Put 2 to 8 runs side by side: results, curves, and the settings, data and packages that differ.\n\n"
    "Prints the results and what differs, and writes a page for a browser, which needs nothing else."
)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN…", help="Run folders, runs' names, or 'last'.", autocompletion=complete_runs
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page.", rich_help_panel="Output")] = Path(
        "compare.html"
    ),
    browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser.", rich_help_panel="Output")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Put runs side by side; see `HELP`."""
    from visionkit.report.comparing import write_comparison
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    root = SettingsFile.read(settings).paths().runs
    found = write_comparison([find_run(run, root) for run in runs], out)
    _print(found)
    typer.echo(visible(out))
    if browser:
        typer.launch(str(out))


def _print(found: Comparison) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from visionkit.cli.tables import wide_console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    for run in found.runs:
        table.add_column(escape(visible(run.name)), overflow="fold")
    groups = [found.figures, [row for row in found.facts if row.differs], found.settings]
    for group in groups:
        for row in group:
            cells = [
                f"{escape(cell)} [bold]best[/bold]" if row.best == place else escape(cell)
                for place, cell in enumerate(row.cells)
            ]
            table.add_row(escape(row.name), *cells, end_section=row is group[-1])
    wide_console().print(table)
