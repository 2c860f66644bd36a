"""`visionkit reproduce RUN`: what has changed since a training, and the same training again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import DataOption, RunArgument, SettingsOption
from visionkit.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from visionkit.runs import Run
    from visionkit.training.differences import Difference
    from visionkit.training.outcome import Deviation, Outcome

HELP = (
    "Say what has changed since a run was trained, and train it again with the same settings.\n\n"
    "Data, recipe, weights, code, packages and machine are compared with run.json. On a CPU the figures come "
    "out the same to the last digit where nothing has changed; the exit code is 1 if they do not, and with "
    "--check-only if anything has changed."
)
MOST_ROWS = 20


def reproduce(
    run: RunArgument,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Only say what has changed; train nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train although data, recipe or weights have changed."),
    ] = False,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="The new run folder. By default a new name.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Say what has changed since a run was trained, and train it again; see `HELP`."""
    from visionkit.cli.progress import terminal_progress, terminal_reporter, wait_message
    from visionkit.runs import find_run, new_run_folder
    from visionkit.settings_file import SettingsFile

    if check_only and (force or out is not None):
        raise UsageError("--check-only trains nothing: leave --force and --out out.")
    file = SettingsFile.read(settings)
    runs_root = file.paths().runs
    found = find_run(run, runs_root)
    new_run_folder("", runs_root, out)  # an --out that cannot be is refused first
    with wait_message("loading fastai …"):
        from visionkit.training import reproducing

    with terminal_progress(stderr=True) as progress:
        plan = reproducing.plan_reproduction(found, data, file.store(progress))
    print_differences(plan.differences)
    if check_only:
        raise typer.Exit(1 if plan.differences else 0)
    with terminal_reporter() as reporter:
        again, outcome = reproducing.reproduce(
            plan,
            out=out,
            runs_root=runs_root,
            store=file.store(reporter),
            reporter=reporter,
            force=force,
        )
    print_outcome(found, again, outcome)
    if not outcome.identical and plan.settings.device == "cpu":
        raise typer.Exit(1)


def print_differences(differences: tuple[Difference, ...]) -> None:
    """One row for each thing that is not as it was."""
    if not differences:
        typer.echo("compared   data, recipe, code, packages and machine: nothing differs")
        return
    from rich.markup import escape

    styles = {"other results": "red", "perhaps other digits": "yellow", "none": "dim"}
    table = _table("what", "then", "now", "makes")
    for each in differences:
        makes = "no difference" if each.effect == "none" else each.effect
        table.add_row(*map(escape, (each.what, each.then, each.now, makes)), style=styles[each.effect])
    _print(table)


def print_outcome(then: Run, now: Run, outcome: Outcome) -> None:
    """Whether the figures are the same, and the first of those that are not."""
    epochs = f"{outcome.compared:,} epoch{'' if outcome.compared == 1 else 's'}"
    if outcome.identical:
        weights = " and the weights" if outcome.same_weights else ""
        typer.echo(
            f"identical to the last digit: {len(then.metrics)} final figures, {epochs}{weights} of "
            f"{then.name}"
        )
    else:
        _print_deviations([*outcome.figures, *outcome.epochs])
        parts = [
            f"{len(outcome.figures)} of {len(then.metrics)} final figures",
            f"{len({each.figure.partition(':')[0] for each in outcome.epochs})} of {epochs}",
            *(["the weights"] if outcome.same_weights is False else []),
        ]
        typer.echo(f"differs from {then.name}: {', '.join(parts)}")
        if now.info["machine"]["device"] != "cpu":
            typer.echo("GPUs add numbers up in varying order, so that last digits differ from run to run.")
    if not outcome.compared:
        typer.echo(f"{then.name} has no history.csv, so that epochs were not compared.")
    typer.echo(f"           {now.path}")


def _print_deviations(deviations: list[Deviation]) -> None:
    from rich.markup import escape

    table = _table("figure", "then", "now", "difference")
    for each in deviations[:MOST_ROWS]:
        difference = "" if each.difference is None else f"{each.difference:+.3g}"
        table.add_row(*map(escape, (each.figure, each.then, each.now, difference)))
    if deviations:
        _print(table)
    if len(deviations) > MOST_ROWS:
        typer.echo(f"and {len(deviations) - MOST_ROWS:,} more, in both history.csv")


def _table(*heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _print(table: Table) -> None:
    from visionkit.cli.tables import wide_console

    wide_console().print(table)
