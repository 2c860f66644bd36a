"""`visionkit check`: what is wrong with a recipe's data set, or with a folder of images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visionkit.cli.common_options import DataOption, SampleOption, SettingsOption
from visionkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from visionkit.checks.result import CheckReport
    from visionkit.data.dataset import Dataset
    from visionkit.data.problems import Problem
    from visionkit.recipe import Recipe
    from visionkit.settings import TrainSettings

HELP = (
    "Look at every image, mask and row of a data set: faults, balance, duplicates, leaks.\n\n"
    "`visionkit check RECIPE` knows labels, masks and the split, and `visionkit check --data FOLDER` looks "
    "at all images of any folder. Files that were looked at are remembered until they change. "
    "Nothing is ever deleted. The exit code is 1 if there are errors, which a training would refuse."
)
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print everything as JSON.", rich_help_panel="Output")
]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE", help="Write a page to look at, .html.", rich_help_panel="Output"
    ),
]
ExcludeOption = Annotated[
    Path | None,
    typer.Option(
        "--exclude",
        metavar="FILE",
        help="Write a list of the files to leave out, for --skip. Nothing is deleted.",
        rich_help_panel="Output",
    ),
]


def check(
    recipe: Recipe,
    flags: Mapping[str, Any],
    *,
    data: DataOption = None,
    sample: SampleOption = False,
    json_output: JsonOption = False,
    report: PageOption = None,
    exclude: ExcludeOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Look at every image, mask and row: faults, balance, duplicates, leaks."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.cli.recipe_commands import Call

    _refuse_targets(report, exclude)
    call = Call.read(recipe, flags, sample, settings_file)
    from visionkit.checks.report import check_dataset
    from visionkit.data.problems import gathering
    from visionkit.sources import locate

    with terminal_progress(stderr=True) as progress:
        store = call.file.store(progress)
        place = locate(recipe.sourced(call.settings), data, sample, call.settings.seed, store)
        with gathering() as gathered:
            dataset = _find(recipe, call.settings, place.folder, gathered)
        found = check_dataset(dataset, gathered, store.memory, progress)
    _give(found, json_output, report, exclude)


def check_any(
    context: typer.Context,
    data: DataOption = None,
    json_output: JsonOption = False,
    report: PageOption = None,
    exclude: ExcludeOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Look at every image of a folder that no recipe is named for; see `HELP`."""
    if context.invoked_subcommand is not None:
        if data or json_output or report or exclude or settings_file:
            raise UsageError(
                f"put the options behind the recipe: visionkit check {context.invoked_subcommand} …"
            )
        return
    if data is None:
        raise UsageError("name a recipe, or a folder of images with --data.")
    from visionkit.checks.report import check_folder
    from visionkit.cli.progress import terminal_progress
    from visionkit.settings_file import SettingsFile
    from visionkit.sources.locate import find_folder

    _refuse_targets(report, exclude)
    with terminal_progress(stderr=True) as progress:
        store = SettingsFile.read(settings_file).store(progress)
        folder = find_folder(data, store).folder
        found = check_folder(folder, store.memory, progress)
    _give(found, json_output, report, exclude)


def _find(recipe: Recipe, settings: TrainSettings, folder: Path, gathered: list[Problem]) -> Dataset:
    """The data set; where none is left, the error tells what was wrong before it, too."""
    from visionkit.data.dataset import Dataset

    try:
        return Dataset.find(recipe, settings, folder)
    except DataError as error:
        if not gathered:
            raise
        more = f" (And {len(gathered) - 1:,} more.)" if len(gathered) > 1 else ""
        raise DataError(f"{error} Before that: {gathered[0].message}{more}") from error


def _refuse_targets(report: Path | None, exclude: Path | None) -> None:
    """Raise `UsageError` before the work for files that cannot be written after it."""
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report {report}: name a page that ends in .html.")
    if exclude is not None and exclude.exists():
        raise UsageError(f"--exclude {exclude}: is there already. Name a new file; nothing was touched.")
    for option, file in (("--report", report), ("--exclude", exclude)):
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{option} {file}: there is no folder {file.parent}.")


def _give(found: CheckReport, json_output: bool, report: Path | None, exclude: Path | None) -> None:
    from visionkit.cli.tables import print_check

    if json_output:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        print_check(found)
    if report is not None:
        from visionkit.checks.page import write_page

        write_page(found, report)
        typer.echo(report, err=json_output)
    if exclude is not None:
        from visionkit.data.skipping import write_skip_list

        files = found.excluded()
        write_skip_list(exclude, files, found.path)
        typer.echo(f"{exclude}: {len(files):,} files to leave out with --skip", err=json_output)
    if any(problem.severity == "error" for problem in found.problems):
        raise typer.Exit(1)
