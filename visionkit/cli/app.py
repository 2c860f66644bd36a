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
from visionkit.cli.demo_command import HELP as DEMO_HELP
from visionkit.cli.demo_command import demo
from visionkit.cli.doctor_command import HELP as DOCTOR_HELP
from visionkit.cli.doctor_command import doctor
from visionkit.cli.evaluate_command import HELP as EVALUATE_HELP
from visionkit.cli.evaluate_command import EvaluateCommand, evaluate
from visionkit.cli.examples import examples
from visionkit.cli.export_command import HELP as EXPORT_HELP
from visionkit.cli.export_command import export
from visionkit.cli.groups import PROGRAM, RecipeGroup
from visionkit.cli.merge_command import HELP as MERGE_HELP
from visionkit.cli.merge_command import merge
from visionkit.cli.new_command import new
from visionkit.cli.plot_command import plot
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
from visionkit.cli.watch_command import HELP as WATCH_HELP
from visionkit.cli.watch_command import watch

HELP = (
    "Train vision models from recipes, on fastai: one label an image, tags, masks or key points.\n\n"
    "`visionkit pets --sample` tries a recipe on a small synthetic data set, `visionkit RECIPE --help` lists "
    "its options."
)

app = typer.Typer(
    cls=RecipeGroup.of(recipe_commands.train),
    help=HELP,
    epilog=examples(""),
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
            epilog=examples(action.__name__.replace("_", "-")),
            no_args_is_help=True,
            subcommand_metavar="RECIPE [OPTIONS]",
        ),
        name=action.__name__.replace("_", "-"),
    )

checks = typer.Typer(
    cls=RecipeGroup.of(check_command.check),
    invoke_without_command=True,
    subcommand_metavar="[RECIPE [OPTIONS]]",
)
checks.callback(help=check_command.HELP, epilog=examples("check"))(check_command.check_any)
app.add_typer(checks, name="check")
app.add_typer(cache, name="cache", epilog=examples("cache"))


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


app.command(epilog=examples("data"))(data)
app.command(help=DEMO_HELP, epilog=examples("demo"))(demo)
app.command(help=DOCTOR_HELP, epilog=examples("doctor"))(doctor)
app.command(help=EXPORT_HELP, epilog=examples("export"))(export)
app.command(epilog=examples("new"))(new)
app.command(help=CLASSIFY_HELP, epilog=examples("classify"))(classify)
app.command(help=COMPARE_HELP, epilog=examples("compare"))(compare)
app.command(cls=EvaluateCommand, help=EVALUATE_HELP, epilog=examples("evaluate"))(evaluate)
app.command(epilog=examples("plot"))(plot)
app.command(help=MERGE_HELP, epilog=examples("merge"))(merge)
app.command(help=PREDICT_HELP, epilog=examples("predict"))(predict)
app.command(help=SUBMIT_HELP, epilog=examples("submit"))(submit)
app.command(epilog=examples("card"))(hub_commands.card)
app.command(help=hub_commands.PUSH_HELP, epilog=examples("push"))(hub_commands.push)
app.command(help=hub_commands.LOAD_HELP, epilog=examples("load"))(hub_commands.load)
app.command(help=REPORT_HELP, epilog=examples("report"))(report)
app.command(help=REPRODUCE_HELP, epilog=examples("reproduce"))(reproduce)
app.command(help=RESUME_HELP, epilog=examples("resume"))(resume)
app.command(help=WATCH_HELP, epilog=examples("watch"))(watch)


@app.command(epilog=examples("recipes"))
def recipes() -> None:
    """List the recipes: task, data set, licence and reference result."""
    from visionkit.cli.tables import print_recipes

    print_recipes()


@app.command(epilog=examples("settings"))
def settings() -> None:
    """Print a settings.ini with every setting, explained, at its default."""
    from visionkit.registry import get_recipe, recipe_names
    from visionkit.settings_template import settings_template

    typer.echo(settings_template([get_recipe(name) for name in recipe_names()]), nl=False)


@app.command(epilog=examples("runs"))
def runs(settings: SettingsOption = None) -> None:
    """List the runs, best first."""
    from visionkit.cli.tables import print_runs
    from visionkit.settings_file import SettingsFile

    print_runs(SettingsFile.read(settings).paths().runs)
