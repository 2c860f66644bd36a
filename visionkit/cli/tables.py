"""Tables for the terminal: recipes and runs."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from visionkit.cli.console import SafeConsole
from visionkit.progress import quantity
from visionkit.registry import get_recipe, recipe_names
from visionkit.runs import Run, runs_in
from visionkit.sources.catalogue import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionkit.cache.listing import Entry
    from visionkit.checks.result import CheckReport

NARROW = 110
"""Columns of a terminal below which a table's longest texts share a column."""
MOST_ROWS = 40
MOST_CLASSES = 12
"""With more classes the table of a training is left to its report.csv."""


def print_recipes() -> None:
    """One row a recipe; in a terminal too narrow for six columns, with all but name and task in one."""
    console = wide_console()
    columns = ["recipe", "task", "data set", "size", "licence", "reference"]
    narrow = console.width < NARROW
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in [*columns[:2], "; ".join(columns[2:])] if narrow else columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("recipe", "task"))
    for name in recipe_names():
        recipe = get_recipe(name)
        task = recipe.task if recipe.task_of is None else "as the data says"
        facts = [recipe.dataset, recipe.size, recipe.licence, recipe.headline]
        row = ["; ".join(filter(None, facts))] if narrow else facts
        table.add_row(*map(escape, (recipe.name, task, *row)))
    console.print(table)


def print_runs(root: Path) -> None:
    """One row a run, grouped by recipe, the best of each first; runs without a figure come last."""
    runs = list(runs_in(root))
    if not runs:
        SafeConsole(emoji=False).print(
            f"There is no run in {escape(str(root))} yet. Train one: visionkit pets --sample"
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("run", "status", "headline", "sizes", "network", "data"):
        table.add_column(name, overflow="fold", no_wrap=name in ("run", "headline", "status"))
    for run in sorted(runs, key=_place):
        figure, info = headline(run), run.info
        data = Path(info.get("data", {}).get("path", "")).name
        table.add_row(
            escape(run.name),
            escape(run.status),
            escape(f"{info['headline']} {figure:.4f}") if figure >= 0 else "",
            escape(" ".join(dict.fromkeys(str(stage.get("size", "")) for stage in info.get("stages", [])))),
            escape(str(info.get("settings", {}).get("arch", ""))),
            "synthetic" if info.get("synthetic") else escape(data),
        )
    wide_console().print(table)


def print_class_report(run: Run) -> None:
    """Precision, recall and F1 of the classes, where the run has them and they are few."""
    from visionkit.evaluation.class_report import AVERAGES, read_report

    rows = read_report(run.path)
    if not 0 < len(rows) - len(AVERAGES) <= MOST_CLASSES:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    for name in ("precision", "recall", "F1", "images"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        style = "dim" if row.name in AVERAGES else None
        figures = (f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", f"{row.support:,}")
        table.add_row(escape(row.name), *figures, style=style)
    wide_console().print(table)


def print_data_sets(root: Path) -> None:
    """One row a data set that was fetched into `root`, or from there into a library's own cache."""
    found = entries(root)
    if not found:
        SafeConsole(emoji=False).print(
            f"There is no data set in {escape(str(root))} yet. Fetch one: visionkit data pets"
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("name", "size", "files", "licence", "fetched", "folder"):
        right = name in ("size", "files")
        table.add_column(name, overflow="fold", justify="right" if right else "left", no_wrap=right)
    for entry in found:
        size, when = quantity(entry.bytes, "bytes"), entry.fetched[:10]
        row = (entry.name, size, f"{entry.files:,}", entry.licence, when, entry.folder)
        table.add_row(*map(escape, row))
    wide_console().print(table)


def print_caches(folder: Path, found: Sequence[Entry], limit: int, free: int) -> None:
    """One row a cache of decoded images, then what they take together.

    Args:
        folder: of the caches.
        found: what is there.
        limit: bytes that they may take.
        free: bytes that are free on the disk.
    """
    console = wide_console()
    room = f"limit {quantity(limit, 'bytes')}, {quantity(free, 'bytes')} free on the disk"
    if not found:
        console.print(f"There is no cache in {folder} ({room}).", markup=False, highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("key", "recipe", "data", "kind", "size", "images", "space", "last used"):
        right = name in ("images", "space")
        table.add_column(
            name,
            overflow="fold",
            justify="right" if right else "left",
            no_wrap=name not in ("recipe", "data"),
        )
    for entry in found:
        images = f"{entry.images:,}" if entry.is_whole else ""
        space, used = quantity(entry.bytes, "bytes"), f"{entry.used:%Y-%m-%d %H:%M}"
        row = (entry.name[:12], entry.recipe, entry.data, entry.kind, entry.size, images, space, used)
        table.add_row(*map(escape, row))
    console.print(table)
    taken = quantity(sum(entry.bytes for entry in found), "bytes")
    console.print(f"{taken} in {folder}, {room}", markup=False, highlight=False)


def headline(run: Run) -> float:
    """The figure that runs of this task are compared by; -1 where there is none yet."""
    return run.metrics.get(run.info.get("headline", ""), -1.0)


def _place(run: Run) -> tuple[str, bool, float]:
    return run.info.get("recipe", ""), bool(run.info.get("synthetic")), _rank(run)


def _rank(run: Run) -> float:
    """What runs of a task are sorted by: the better the headline, the lower."""
    figure = headline(run)
    if figure < 0:
        return inf
    return figure if run.info.get("headline_lower_is_better") else -figure


def wide_console() -> SafeConsole:
    """A console that breaks lines at the terminal's width, and nowhere where output goes to a file or a
    pipe.
    """
    console = SafeConsole(emoji=False)
    return console if console.is_terminal else SafeConsole(width=240, emoji=False)


def print_check(report: CheckReport) -> None:
    """What a check found: counts, then one row a kind of problem, the gravest first."""
    from visionkit.checks.result import summary_rows

    console = wide_console()
    counts = report.counts
    size = quantity(int(counts["bytes"]), "bytes")
    parts = f", {counts['train']:,} train and {counts['valid']:,} validate" if counts.get("train") else ""
    console.print(f"checked    {escape(str(report.path))}: {counts['images']:,} images, {size}{parts}")
    if report.remark:
        console.print(report.remark, markup=False, highlight=False)
    _print_shares(report, console)
    rows = summary_rows(report)
    if not rows:
        console.print("faults     none")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "kind", "count", "what"):
        table.add_column(name, overflow="fold", no_wrap=name in ("", "kind"), justify="left")
    styles = {"error": "red", "warning": "yellow", "note": "dim"}
    for severity, kind, count, message in rows:
        table.add_row(severity, escape(kind), f"{count:,}", escape(message), style=styles[severity])
    console.print(table)


def _print_shares(report: CheckReport, console: SafeConsole) -> None:
    """How many images each class has, or how many pixels each code."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows: list[tuple[str, ...]]
    if report.balance:
        rows = [(each.name, f"{each.train:,}", f"{each.valid:,}") for each in report.balance]
        heads = ["class", "training images", "validation images"]
    else:
        rows = [
            (share.name or f"code {share.code}", f"{share.train:,}", f"{share.valid:,}", f"{share.share:.2%}")
            for share in report.pixel_share
        ]
        heads = ["code", "training masks", "validation masks", "pixels"]
    if not rows:
        return
    for head in heads:
        table.add_column(head, justify="left" if head in ("class", "code") else "right")
    for row in rows[:MOST_ROWS]:
        table.add_row(*map(escape, row))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"and {len(rows) - MOST_ROWS:,} more: --json and --report have them all")
