"""The rows of many Parquet files in one, of which a group of rows at a time is in memory."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from visionkit.atomic import atomic_file
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.growing_files import VALUES_OF_A_PART
from visionkit.inference.manifest import MergedManifest
from visionkit.inference.shards import Shard
from visionkit.progress import Progress

MOST_ROWS = 100_000
MARK = b"visionkit.merged"
"""The key in the file's metadata that tells of which table it is."""


def refuse_other(out: Path, folder: Path) -> None:
    """Refuse what cannot become the file, before anything long is done.

    Raises:
        UsageError: it has another ending, lies in the folder of the shards or in none, or something that
            visionkit did not merge is there.
    """
    if out.suffix.lower() != ".parquet":
        raise UsageError(f"--out {out}: name a file that ends in .parquet.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    if Path(os.path.realpath(folder)) in Path(os.path.realpath(out)).parents:
        raise UsageError(
            f"--out {out}: lies in {folder}, where it would be read as a part of it. Name another place."
        )
    if os.path.lexists(out) and _mark_of(out) is None:
        raise _there(out)


def is_same_table(out: Path, manifest: MergedManifest) -> bool:
    """Whether `out` is there and has exactly the rows of the table.

    Raises:
        UsageError: it has others.
    """
    if not os.path.lexists(out):
        return False
    if _mark_of(out) != mark(manifest):
        raise _there(out)
    return True


def mark(manifest: MergedManifest) -> bytes:
    """Tells a table from others: by its model, its options and its parts."""
    said = manifest.model_dump_json(include={"work", "names_from", "shards"})
    return sha256(said.encode()).hexdigest().encode()


def write_one(out: Path, folder: Path, manifest: MergedManifest, progress: Progress) -> None:
    """Write the rows of all shards to one file, shard by shard; it is whole or not there.

    Raises:
        OSError: it cannot be written.
        VisionkitError: a part cannot be read, or has other columns than the first; or there is none.
    """
    from pyarrow import ArrowException, Table, parquet

    of = len(manifest.shards)
    paths = [
        folder / Shard(each.shard, of).name / part.file for each in manifest.shards for part in each.parts
    ]
    if not paths:  # of older calls that had no image, and were killed once
        raise VisionkitError(
            f"{folder}: none of its shards has a file, so nobody knows the columns. Repeat visionkit predict "
            f"with --shard 1/{of}, which writes one without rows. {_NOTHING}"
        )
    schema = parquet.read_schema(paths[0])
    most = max(1, min(MOST_ROWS, VALUES_OF_A_PART // len(schema)))
    written = 0
    with (
        progress.track("merge", manifest.rows, "images") as advance,
        atomic_file(out) as file,
        parquet.ParquetWriter(file, schema.with_metadata({MARK: mark(manifest)})) as writer,
    ):
        waiting, rows = [], 0
        for path in paths:
            try:
                with parquet.ParquetFile(path) as part:
                    if not part.schema_arrow.equals(schema):
                        raise VisionkitError(f"{path}: has other columns than {paths[0]}. {_NOTHING}")
                    for batch in part.iter_batches(batch_size=most):
                        waiting.append(batch)
                        rows += len(batch)
                        if rows >= most:
                            writer.write_table(Table.from_batches(waiting), row_group_size=most)
                            written, rows, waiting = written + rows, 0, []
                        advance(len(batch))
            except ArrowException as error:
                reason = " ".join(str(error).split())
                raise VisionkitError(f"{path}: cannot be read ({reason}). {_NOTHING}") from error
        if waiting:
            writer.write_table(Table.from_batches(waiting), row_group_size=most)
        if written + rows != manifest.rows:
            raise VisionkitError(f"{folder}: was changed while it was merged: call it again. {_NOTHING}")


_NOTHING = "Nothing was written."


def _mark_of(path: Path) -> bytes | None:
    from pyarrow import ArrowException, parquet

    try:
        found: bytes | None = (parquet.read_schema(path).metadata or {}).get(MARK)
    except (ArrowException, OSError):
        return None
    return found


def _there(out: Path) -> UsageError:
    return UsageError(
        f"--out {out}: is there already, with something else. Name a new file; nothing was touched."
    )
