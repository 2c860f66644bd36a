"""`visionkit predict --shard K/N`, and under torchrun: which share is done here, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from visionkit.cli.answers_progress import answers_progress
from visionkit.errors import UsageError
from visionkit.inference.shards import Rank, Shard, torchrun_rank
from visionkit.progress import quantity
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.inference.inputs import Entry
    from visionkit.inference.work import Work


def share_of(given: str | None, out: Path | None, images: list[str]) -> tuple[Shard | None, Rank | None]:
    """The shard that this process does, None for all images; and its rank where torchrun decides that.

    Args:
        given: --shard.
        out: --out.
        images: what is named.

    Raises:
        UsageError: there is no such shard, or shards cannot be written so.
    """
    parquet = out is not None and out.suffix.lower() == ".parquet"
    if given is not None:
        shard = Shard.parse(given)
        if out is None:
            raise UsageError("--shard writes a part of a table: give --out a folder that ends in .parquet.")
        return shard, None
    rank = torchrun_rank()
    if rank is None or (rank.shard.of == 1 and not parquet):
        return None, None
    if not parquet:
        raise UsageError(
            f"torchrun has started {rank.shard.of} processes, and each would do all images: give --out a "
            "folder that ends in .parquet, in which each does its share, or call visionkit without torchrun."
        )
    if "-" in images and rank.shard.of > 1:
        raise UsageError(
            "- is a list on standard input, which only one process can read: under torchrun, name files and "
            "folders, or a CSV file with --column."
        )
    return rank.shard, rank


def write_shard(work: Work, entries: Iterable[Entry], out: Path, shard: Shard, rank: Rank | None) -> int:
    """Write the answers about one shard; returns how many of its images have none.

    Bars are shown by one process of a terminal only.
    """
    from visionkit.inference.sharded import predict_shard

    with answers_progress(rank is not None and rank.local > 0) as progress:
        outcome = predict_shard(work, entries, out, shard, progress)
    if outcome.there == outcome.total:
        said = f"nothing to do: {quantity(outcome.total, 'images')} are there"
    else:
        there = f", {outcome.there:,} were there" if outcome.there else ""
        said = f"{outcome.new:,} new{there}"
    typer.echo(f"{shard}: {said}.", err=True)
    if outcome.failed:
        count = f"{outcome.failed:,} of {quantity(outcome.total, 'images')}"
        typer.echo(f"{shard}: {count} could not be used. See {visible(outcome.listed or '')}.", err=True)
    typer.echo(visible(out.expanduser() / shard.name))
    return outcome.failed
