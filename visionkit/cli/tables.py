"""Tables for the terminal: recipes and runs."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from visionkit.registry import get_recipe, recipe_names
from visionkit.runs import Run, runs_in


def print_recipes() -> None:
    """One row a recipe."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("recipe", "task", "data set", "licence", "reference"):
        table.add_column(name, overflow="fold", no_wrap=name in ("recipe", "task"))
    for name in recipe_names():
        recipe = get_recipe(name)
        table.add_row(
            *map(escape, (recipe.name, recipe.task, recipe.dataset, recipe.licence, recipe.headline))
        )
    wide_console().print(table)


def print_runs(root: Path) -> None:
    """One row a run, grouped by recipe, the best of each first; runs without a figure come last."""
    runs = list(runs_in(root))
    if not runs:
        Console().print(f"There is no run in {escape(str(root))} yet. Train one: visionkit pets --sample")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("run", "status", "headline", "sizes", "network", "data"):
        table.add_column(name, overflow="fold", no_wrap=name in ("run", "headline", "status"))
    for run in sorted(
        runs, key=lambda run: (run.info["recipe"], bool(run.info["synthetic"]), -headline(run))
    ):
        figure = headline(run)
        table.add_row(
            escape(run.name),
            run.status,
            f"{run.info['headline']} {figure:.4f}" if figure >= 0 else "",
            " ".join(dict.fromkeys(str(stage["size"]) for stage in run.info["stages"])),
            escape(str(run.info["settings"]["arch"])),
            "synthetic" if run.info["synthetic"] else escape(Path(run.info["data"]["path"]).name),
        )
    wide_console().print(table)


def headline(run: Run) -> float:
    """The figure that runs of this task are compared by; -1 where there is none yet."""
    return run.metrics.get(str(run.info["headline"]), -1.0)


def wide_console() -> Console:
    """A console that breaks lines at the terminal's width, and nowhere where output goes to a file or a
    pipe.
    """
    console = Console()
    return console if console.is_terminal else Console(width=240)
