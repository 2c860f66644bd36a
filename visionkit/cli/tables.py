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
        table.add_row(*map(escape, (recipe.name, recipe.task, recipe.dataset, recipe.licence, recipe.headline)))
    Console().print(table)


def print_runs(root: Path) -> None:
    """One row a run, grouped by recipe, the best of each first; runs without a figure come last."""
    runs = list(runs_in(root))
    if not runs:
        Console().print(f"There is no run in {escape(str(root))} yet. Train one: visionkit pets --sample")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("run", "status", "sizes", "network", "headline", "seconds", "data"):
        table.add_column(name, overflow="fold", justify="right" if name == "seconds" else "left")
    for run in sorted(runs, key=lambda run: (run.info["recipe"], bool(run.info["synthetic"]), -headline(run))):
        figure = headline(run)
        table.add_row(
            escape(run.name),
            str(run.info["status"]),
            " ".join(dict.fromkeys(str(stage["size"]) for stage in run.info["stages"])),
            escape(str(run.info["settings"]["arch"])),
            f"{run.info['headline']} {figure:.4f}" if figure >= 0 else "",
            f"{run.info['seconds']:.0f}" if "seconds" in run.info else "",
            "synthetic sample" if run.info["synthetic"] else escape(Path(run.info["data"]["path"]).name),
        )
    Console().print(table)


def headline(run: Run) -> float:
    """The figure that runs of this task are compared by; -1 where there is none yet."""
    return run.metrics.get(str(run.info["headline"]), -1.0)
