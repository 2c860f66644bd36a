"""`visionkit merge FOLDER`: what many processes predicted in shards, checked, and as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionkit.progress import quantity
from visionkit.visible import visible

HELP = (
    "Check that the shards of a prediction are whole, and write them as one file.\n\n"
    "After visionkit predict --shard: every image of the list must be there as often as it was named, from "
    "the same model with the same options. If something is missing or double, nothing is written, the "
    "message names it, and the exit code is 1."
)


def merge(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER.parquet",
            help="What visionkit predict --shard wrote to.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet",
            help="Write all rows to this file, too, shard by shard. The folder alone can be read as one "
            "table, as well.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check shards, and write them as one file; see `HELP`."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.inference.merging import merge_shards

    with terminal_progress(stderr=True) as progress:
        merged = merge_shards(folder, out, progress)
    said = merged.manifest
    shards = "1 shard" if len(said.shards) == 1 else f"{len(said.shards):,} shards"
    counted = f"{quantity(said.images, 'images')} in {shards}: {said.rows:,} rows"
    typer.echo(f"{counted}, none missing or double.", err=True)
    if merged.failed is not None:
        typer.echo(f"{said.failed:,} could not be used. See {visible(merged.failed)}.", err=True)
    if merged.there:
        typer.echo(f"nothing to do: they are in {visible(out or '')}.", err=True)
    typer.echo(visible(folder if out is None else out))
