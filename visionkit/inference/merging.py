"""`visionkit merge`: a table that many processes predicted in shards, checked, and written as one file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from visionkit import __version__
from visionkit.atomic import atomic_file
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.growing_files import csv_record
from visionkit.inference.manifest import MERGED, MergedManifest, MergedShard, ShardManifest, write_manifest
from visionkit.inference.merge_checks import failed_rows, is_unchanged, whole_shards
from visionkit.inference.one_parquet import is_same_table, refuse_other, write_one
from visionkit.inference.targets import beside
from visionkit.progress import Progress, Silence


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Args:
        manifest: says all of the table.
        failed: the file that lists the images without a row, with the reason; None where there are none.
        there: whether `out` had this very table already.
    """

    manifest: MergedManifest
    failed: Path | None = None
    there: bool = False


def merge_shards(folder: Path, out: Path | None = None, progress: Progress | None = None) -> Merged:
    """Check that every image of a list has been done once, by the same model and with the same options.

    Then `_manifest.json` in the folder says what there is, and `FOLDER.failed.csv` lists the images that
    could not be used. Names are read, one batch at a time: memory does not grow with the number of rows.

    Args:
        folder: what `visionkit predict --shard` wrote to.
        out: one Parquet file with all rows, shard by shard; None writes none. One with this very table is
            left as it is.
        progress: hears how far it is.

    Raises:
        UsageError: there is no such folder, or `out` cannot be written there.
        VisionkitError: shards or images are missing, double or of other calls; nothing was written.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name the --out of visionkit predict --shard.")
    if find_spec("pyarrow") is None:
        raise UsageError(f"{folder}: Parquet needs pyarrow: pip install pyarrow.")
    out = None if out is None else out.expanduser()
    if out is not None:
        refuse_other(out, folder)
    progress = progress or Silence()
    shards = whole_shards(folder, progress)
    manifest = _merged(shards)
    there = out is not None and is_same_table(out, manifest)
    failed = beside(folder, "failed.csv")
    try:
        _list_failed(folder, shards, failed)
        if out is not None and not there:
            write_one(out, folder, manifest, progress)
        write_manifest(folder / MERGED, manifest)
        if not is_unchanged(folder, shards):  # looked at last: whoever comes later takes away what we wrote
            for written in (folder / MERGED, *([out] if out is not None and not there else [])):
                written.unlink(missing_ok=True)
            raise VisionkitError(
                f"{folder}: visionkit predict has added to a shard while it was merged. Wait until it has "
                "ended, and merge again."
            )
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error
    return Merged(manifest, failed if manifest.failed else None, there)


def _merged(shards: list[ShardManifest]) -> MergedManifest:
    first = shards[0]
    return MergedManifest(
        visionkit=__version__,
        model=first.model,
        names_from=first.names_from,
        work=first.work,
        images=sum(each.images for each in shards),
        rows=sum(each.rows for each in shards),
        failed=sum(each.failed for each in shards),
        shards=[
            MergedShard(shard=each.shard, images=each.images, failed=each.failed, parts=each.parts)
            for each in shards
        ],
    )


def _list_failed(folder: Path, shards: list[ShardManifest], path: Path) -> None:
    if not any(each.failed for each in shards):
        with suppress(FileNotFoundError):
            path.unlink()
        return
    with atomic_file(path) as file:
        file.write(csv_record(["image", "reason"]))
        for each in shards:
            for row in failed_rows(folder, each):
                file.write(csv_record(row))
