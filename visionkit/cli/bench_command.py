"""`visionkit bench RECIPE`: how fast a recipe trains here, and what limits it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visionkit.cli.common_options import DataOption, SampleOption, SettingsOption
from visionkit.errors import UsageError

if TYPE_CHECKING:
    from visionkit.benchmark.figures import Benchmark, Figures
    from visionkit.recipe import Recipe

SecondsOption = Annotated[
    float,
    typer.Option(
        "--seconds",
        metavar="NUMBER",
        help="How long each figure is measured, warm-up left out. Default: 5.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="stock",
        help="Measure stock fastai too, taking turns: no cache, fp32, its own workers and Adam.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print everything as JSON.", rich_help_panel="Output"),
]


def bench(
    recipe: Recipe,
    flags: Mapping[str, Any],
    *,
    data: DataOption = None,
    sample: SampleOption = False,
    seconds: SecondsOption = 5.0,
    against: AgainstOption = None,
    json_output: JsonOption = False,
    settings_file: SettingsOption = None,
) -> None:
    """Measure images/s of loader, step and both, and where the time goes. No run is made."""
    from visionkit.cli.progress import terminal_progress, wait_message
    from visionkit.cli.recipe_commands import Call

    if not (isfinite(seconds) and seconds > 0):
        raise UsageError(f"--seconds {seconds:g}: give a number above 0.")
    if against not in (None, "stock"):
        raise UsageError(f"--against {against}: there is only stock fastai to measure against; give stock.")
    call = Call.read(recipe, flags, sample, settings_file)
    with wait_message("loading fastai …"):
        from visionkit.benchmark.bench import bench as bench_recipe

    with terminal_progress(stderr=True) as progress:
        found = bench_recipe(
            recipe,
            call.settings,
            data=data,
            sample=sample,
            seconds=seconds,
            against_stock=against == "stock",
            store=call.file.store(progress),
        )
    if json_output:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        print_benchmark(found)


def print_benchmark(found: Benchmark) -> None:
    """What was measured, images/s, where the time goes, and what limits."""
    about = found.about
    data = "SYNTHETIC sample images" if about["synthetic"] else Path(about["data"]).name
    typer.echo(
        f"benchmark  {about['recipe']}, {about['train']:,} training images ({data}): {about['arch']} at "
        f"{about['size']} px, {about['stage']}, batches of {about['bs']}"
    )
    for figures in found.sides:
        typer.echo(f"{_title(figures):10s} {_how(figures)}")
    first = " or ".join(dict.fromkeys(str(figures.about["warm_up_batches"]) for figures in found.sides))
    turns = ", taking turns" if len(found.sides) > 1 else ""
    typer.echo(
        f"measured   {about['seconds']:g} s for each figure{turns}; the first batches, up to {first}, warm "
        "up and are not counted"
    )
    _print_paces(found)
    _print_parts(found)
    for figures in found.sides:
        typer.echo(f"{_title(figures):10s} {figures.limit()}")


def _title(figures: Figures) -> str:
    return "stock" if figures.side == "stock" else "visionkit"


def _how(figures: Figures) -> str:
    about = figures.about
    kind = "thread" if about["cached"] else "worker"
    place = "the cache" if about["cached"] else "the files"
    count = f"{about['workers']} {kind}{'' if about['workers'] == 1 else 's'}"
    return f"{about['device']}, {about['precision']}; batches from {place}, {count}"


def _print_paces(found: Benchmark) -> None:
    from visionkit.benchmark.figures import shown, times

    rows = {"loader": "loader alone", "step": "step, batch in memory", "together": "both together"}
    table = _table("images/s", *map(_title, found.sides), *(["ratio"] if found.ratios else []))
    for name, title in rows.items():
        figures = [shown(getattr(each, name).images_per_s) for each in found.sides]
        table.add_row(title, *figures, *([times(found.ratios[name])] if found.ratios else []))
    waits = [f"{each.together.wait_percent:.1f} %" for each in found.sides]
    table.add_row("wait for data", *waits)
    if any(each.utilisation is not None for each in found.sides):
        busy = ["" if each.utilisation is None else f"{each.utilisation:.0f} %" for each in found.sides]
        table.add_row("GPU busy", *busy)
    _print(table)


def _print_parts(found: Benchmark) -> None:
    from visionkit.benchmark.figures import shown

    heads = [head for each in found.sides for head in (f"{_title(each)}: ms/image", "share")]
    table = _table("where the time goes", *heads)
    for name in found.sides[0].parts:
        cells = []
        for each in found.sides:
            if name == "decode" and each.decoding_once is not None:
                cells += ["–", "–"]
            else:
                cells += [shown(1000 * each.parts[name]), f"{each.shares[name]:.1f} %"]
        table.add_row(name, *cells)
    _print(table)
    for each in found.sides:
        if each.decoding_once is not None:
            typer.echo(
                f"decoding   {shown(1000 * each.decoding_once)} ms an image and core, once, to fill the "
                "cache: epochs do without"
            )
    typer.echo(
        "           the parts were measured one after the other; in a training, batches are made beside the "
        "step"
    )


def _table(*heads: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", no_wrap=True)
    return table


def _print(table: Any) -> None:
    from visionkit.cli.tables import wide_console

    wide_console().print(table)
