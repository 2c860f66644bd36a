"""`visionkit predict --shard`: one share of a list of images, beside processes that do the others."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from visionkit import __version__
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.filling import Filling, Outcome
from visionkit.inference.inputs import Entry
from visionkit.inference.manifest import (
    MERGED,
    ShardManifest,
    as_written,
    parts_in,
    read_manifest,
    write_manifest,
)
from visionkit.inference.own_tars import OwnTars
from visionkit.inference.shards import NameSum, Shard
from visionkit.inference.shares import Share
from visionkit.inference.targets import ShardTarget, alone, target_of
from visionkit.inference.work import Work
from visionkit.progress import Progress, Silence

SECONDS_TO_BEGIN = 60.0
"""How long a process waits for another one that begins the same table, which takes moments."""


def predict_shard(
    work: Work, entries: Iterable[Entry], out: Path, shard: Shard, progress: Progress | None = None
) -> Outcome:
    """Write the answers about one shard of a list of images to a folder of its own in `out`.

    Any number of processes, also on several machines with a shared disk, may do so at once, each with
    another shard of the same list. A call that is repeated does only what is missing.

    Args:
        work: the model, and what is asked.
        entries: the list, the same in every process: images, and tar files, of which a process fetches those
            of its share only where there are enough of them. Images of the shard stay in memory, as do the
            addresses of all tar files; of a folder or of a list of names, all names are in memory while it
            is gone through, which takes some 100 bytes for each.
        out: a folder of Parquet files, which ends in .parquet.
        shard: which of them are done here.
        progress: hears how far it is, and of images that cannot be used.

    Raises:
        UsageError: nothing can be written to `out`, or it was begun with another model, other options or
            another list of images.
        VisionkitError: images cannot be listed, `out` is damaged or cannot be written, or the model cannot
            compute.
    """
    out = out.expanduser()
    if out.suffix.lower() != ".parquet":
        raise UsageError(
            f"--out {out}: shards are written as Parquet: name a folder that ends in .parquet. Pictures of "
            "masks and points cannot be written in shards: for these, call each folder of images by itself."
        )
    if work.options.overlay:
        raise UsageError("--overlay writes pictures, which cannot be written in shards: leave it out.")
    whole = target_of(out, work.description.task)
    share = Share(entries, shard)
    target = ShardTarget(out, out / shard.name, ".parquet")
    mark = {"images": share.list_mark, "shards": shard.of}

    def filling_now() -> Filling:
        tars = OwnTars(share.tars, target.tars)
        return Filling(work, target, share.inputs, mark, share.relative, tars)

    try:
        filling = filling_now()
        if filling.record.changed:  # nobody had begun; whoever comes first says with what
            with alone(whole, SECONDS_TO_BEGIN):
                filling = filling_now()
                filling.begin()
                out.mkdir(exist_ok=True)
        with alone(target):
            return _filled(filling, target, share, progress or Silence())
    except OSError as error:
        raise cannot_write(target.table, error) from error


def _filled(filling: Filling, target: ShardTarget, share: Share, progress: Progress) -> Outcome:
    before = read_manifest(target.manifest, ShardManifest)
    if before is not None and _whole(before, filling, target, share):
        return Outcome(before.images, before.images, 0)
    for stale in (target.manifest, target.out / MERGED):  # neither holds while rows are added
        with suppress(FileNotFoundError):
            stale.unlink()
    outcome = filling.run(progress)
    names = NameSum.of(each.name for each in filling.inputs)
    names.add_all(filling.tars.names)
    manifest = ShardManifest(
        visionkit=__version__,
        model=str(filling.work.model.absolute()),
        names_from=filling.record.names_from,
        work=filling.record.work,
        shard=share.shard.number,
        entries=share.count,
        listed=str(share.sum),
        images=filling.total,
        names=str(names),
        failed=outcome.failed,
        parts=list(parts_in(target.table)),
    )
    write_manifest(target.manifest, manifest)
    return outcome


def _whole(said: ShardManifest, filling: Filling, target: ShardTarget, share: Share) -> bool:
    """Whether there is nothing to do; known without reading the rows, or any tar file."""
    record = filling.record
    same = said.work == record.work and said.names_from == record.names_from
    ours = (said.shard, said.entries, said.listed) == (share.shard.number, share.count, str(share.sum))
    done = bool(said.parts) and said.failed == 0 and said.rows == said.images
    return same and ours and done and as_written(target.table, said.parts)
