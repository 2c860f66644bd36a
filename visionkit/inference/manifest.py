"""What is in a shard of predictions once it is whole, and in a table that was merged from shards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from visionkit.atomic import write_atomically
from visionkit.errors import VisionkitError
from visionkit.inference.shards import NameSum

MERGED = "_manifest.json"
"""In the folder of the table; readers of Parquet pass by names that begin with `_`."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Part(_Said):
    """One Parquet file.

    Args:
        file: its name in the folder of its shard.
        rows: how many it has.
        names: `NameSum` of the images in them.
    """

    file: str
    rows: int
    names: str


class ShardManifest(_Said):
    """A whole shard.

    Args:
        visionkit: the version that wrote it.
        model: the folder of the model, for people.
        names_from: the folder from which images are named; None where all names are absolute.
        work: what the answers depend on, with the list of all images and the number of shards.
        shard: which one, from 1.
        entries: in its share of the list; each is an image, or a whole tar file.
        listed: `NameSum` of them.
        images: of its entries.
        names: `NameSum` of them.
        failed: of the images, those that have no row.
        parts: its files, in their order.
    """

    visionkit: str
    model: str
    names_from: str | None
    work: dict[str, Any]
    shard: int
    entries: int
    listed: str
    images: int
    names: str
    failed: int
    parts: list[Part]

    @property
    def rows(self) -> int:
        """Of all parts."""
        return sum(part.rows for part in self.parts)


class MergedShard(_Said):
    """A shard of a merged table: as in `ShardManifest`."""

    shard: int
    images: int
    failed: int
    parts: list[Part]


class MergedManifest(_Said):
    """A table whose shards are all there.

    Args:
        visionkit: the version that merged it.
        model: as in `ShardManifest`.
        names_from: as in `ShardManifest`.
        work: as in `ShardManifest`.
        images: of the list; one that is there twice counts twice.
        rows: of the table.
        failed: images that have no row.
        shards: all of them.
    """

    visionkit: str
    model: str
    names_from: str | None
    work: dict[str, Any]
    images: int
    rows: int
    failed: int
    shards: list[MergedShard]


Manifest = TypeVar("Manifest", ShardManifest, MergedManifest)


def write_manifest(path: Path, manifest: BaseModel) -> None:
    """Write it, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(path, manifest.model_dump_json(indent=1) + "\n")


def read_manifest(path: Path, kind: type[Manifest]) -> Manifest | None:
    """The manifest in a file; None where there is no such file.

    Raises:
        VisionkitError: there is something else in it.
    """
    if not os.path.lexists(path):
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise VisionkitError(
            f"{path}: is damaged, or of another version of visionkit. Delete it, and repeat the predict that "
            "wrote it: no image is done again."
        ) from error


def parts_in(folder: Path) -> Iterator[Part]:
    """What is in the Parquet files of a shard, of which one batch of names at a time is in memory.

    Raises:
        VisionkitError: a file cannot be read.
    """
    for path in sorted(folder.glob("part-*.parquet")):
        names = NameSum()
        rows = 0
        for name in names_in(path):
            names.add(name)
            rows += 1
        yield Part(file=path.name, rows=rows, names=str(names))


def names_in(path: Path) -> Iterator[str]:
    """The images of a Parquet file, in its order.

    Raises:
        VisionkitError: it cannot be read.
    """
    from pyarrow import parquet

    with _readable(path), parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["image"]):
            yield from batch.column(0).to_pylist()


def columns_of(path: Path) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        VisionkitError: it cannot be read.
    """
    from pyarrow import parquet

    with _readable(path):
        return list(parquet.read_schema(path).names)


def as_written(folder: Path, parts: list[Part]) -> bool:
    """Whether a shard has exactly these files, by their names and the rows that their ends speak of."""
    from pyarrow import ArrowException, parquet

    if sorted(path.name for path in folder.glob("*.parquet")) != [part.file for part in parts]:
        return False
    try:
        return all(parquet.read_metadata(folder / part.file).num_rows == part.rows for part in parts)
    except (ArrowException, OSError):
        return False


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise VisionkitError(
            f"{path}: cannot be read ({reason}). Delete this part and repeat the predict of its shard: its "
            "images are done again."
        ) from error
