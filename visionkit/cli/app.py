"""The Typer application: its commands, and the recipes as commands."""

from __future__ import annotations

from typing import Annotated

import typer

from visionkit import __version__
from visionkit.cli import bench_command, check_command, hub_commands, recipe_commands
from visionkit.cli.cache_command import cache
from visionkit.cli.classify_command import HELP as CLASSIFY_HELP
from visionkit.cli.classify_command import classify
from visionkit.cli.common_options import SettingsOption
from visionkit.cli.compare_command import HELP as COMPARE_HELP
from visionkit.cli.compare_command import compare
from visionkit.cli.data_command import data
from visionkit.cli.doctor_command import HELP as DOCTOR_HELP
from visionkit.cli.doctor_command import doctor
from visionkit.cli.evaluate_command import HELP as EVALUATE_HELP
from visionkit.cli.evaluate_command import EvaluateCommand, evaluate
from visionkit.cli.export_command import HELP as EXPORT_HELP
from visionkit.cli.export_command import export
from visionkit.cli.groups import PROGRAM, RecipeGroup
from visionkit.cli.new_command import new
from visionkit.cli.predict_command import HELP as PREDICT_HELP
from visionkit.cli.predict_command import predict
from visionkit.cli.report_command import HELP as REPORT_HELP
from visionkit.cli.report_command import report
from visionkit.cli.reproduce_command import HELP as REPRODUCE_HELP
from visionkit.cli.reproduce_command import reproduce
from visionkit.cli.resume_command import HELP as RESUME_HELP
from visionkit.cli.resume_command import resume
from visionkit.cli.submit_command import HELP as SUBMIT_HELP
from visionkit.cli.submit_command import submit
from visionkit.visible import visible

HELP = (
    "Train vision models from recipes, on fastai: one label an image, tags, masks or key points.\n\n"
    "`visionkit pets --sample` tries a recipe on a small synthetic data set, `visionkit RECIPE --help` lists "
    "its options."
)

app = typer.Typer(
    cls=RecipeGroup.of(recipe_commands.train),
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for action in (recipe_commands.show, recipe_commands.lr_find, bench_command.bench):
    app.add_typer(
        typer.Typer(
            cls=RecipeGroup.of(action),
            help=action.__doc__,
            no_args_is_help=True,
            subcommand_metavar="RECIPE [OPTIONS]",
        ),
        name=action.__name__.replace("_", "-"),
    )

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, a run's name, or 'last'.")]

checks = typer.Typer(
    cls=RecipeGroup.of(check_command.check),
    invoke_without_command=True,
    subcommand_metavar="[RECIPE [OPTIONS]]",
)
checks.callback(help=check_command.HELP)(check_command.check_any)
app.add_typer(checks, name="check")
app.add_typer(cache, name="cache")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"visionkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show tracebacks and the libraries' warnings.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            help="Print the version and stop.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """Set what holds for every command."""
    PROGRAM.start(debug)


app.command()(data)
app.command(help=DOCTOR_HELP)(doctor)
app.command(help=EXPORT_HELP)(export)
app.command()(new)
app.command(help=CLASSIFY_HELP)(classify)
app.command(help=COMPARE_HELP)(compare)
app.command(cls=EvaluateCommand, help=EVALUATE_HELP)(evaluate)
app.command(help=PREDICT_HELP)(predict)
app.command(help=SUBMIT_HELP)(submit)
app.command()(hub_commands.card)
app.command(help=hub_commands.PUSH_HELP)(hub_commands.push)
app.command(help=hub_commands.LOAD_HELP)(hub_commands.load)
app.command(help=REPORT_HELP)(report)
app.command(help=REPRODUCE_HELP)(reproduce)
app.command(help=RESUME_HELP)(resume)


@app.command()
def recipes() -> None:
    """List the recipes: task, data set, licence and reference result."""
    from visionkit.cli.tables import print_recipes

    print_recipes()


@app.command()
def settings() -> None:
    """Print a settings.ini with every setting, explained, at its default."""
    from visionkit.registry import get_recipe, recipe_names
    from visionkit.settings_template import settings_template

    typer.echo(settings_template([get_recipe(name) for name in recipe_names()]), nl=False)


@app.command()
def runs(settings: SettingsOption = None) -> None:
    """List the runs, best first."""
    from visionkit.cli.tables import print_runs
    from visionkit.settings_file import SettingsFile

    print_runs(SettingsFile.read(settings).paths().runs)


@app.command()
def plot(run: RunName, settings: SettingsOption = None) -> None:
    """Draw a run: losses, schedule, metrics, and its predictions beside the truth."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.reporting.plots import plot_run
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = find_run(run, file.paths().runs)
    with terminal_progress(stderr=True) as progress:
        pictures = plot_run(found, store=file.store(progress))
    for picture in pictures:
        typer.echo(visible(picture))
