"""`visionkit predict --shard`: one share of a list of images, beside processes that do the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from visionkit import __version__
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError
from visionkit.inference.filling import Filling, Outcome, is_relative
from visionkit.inference.inputs import Input
from visionkit.inference.manifest import (
    MERGED,
    ShardManifest,
    as_written,
    parts_in,
    read_manifest,
    write_manifest,
)
from visionkit.inference.shards import ListMark, NameSum, Shard
from visionkit.inference.targets import ShardTarget, alone, target_of
from visionkit.inference.work import Work
from visionkit.progress import Progress, Silence

SECONDS_TO_BEGIN = 60.0
"""How long a process waits for another one that begins the same table, which takes moments."""


def predict_shard(
    work: Work, inputs: Iterable[Input], out: Path, shard: Shard, progress: Progress | None = None
) -> Outcome:
    """Write the answers about one shard of `inputs` to a folder of its own in `out`.

    Any number of processes, also on several machines with a shared disk, may do so at once, each with
    another shard of the same list. A call that is repeated does only what is missing.

    Args:
        work: the model, and what is asked.
        inputs: all images, the same in every process; only those of the shard stay in memory.
        out: a folder of Parquet files, which ends in .parquet.
        shard: which of them are done here.
        progress: hears how far it is, and of images that cannot be used.

    Raises:
        UsageError: nothing can be written to `out`, or it was begun with another model, other options or
            another list of images.
        VisionkitError: `out` is damaged or cannot be written, or the model cannot compute.
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
    share = _Share(shard)
    own = list(share.of(inputs))
    target = ShardTarget(out, out / shard.name, ".parquet")
    mark = {"images": share.mark.as_json(), "shards": shard.of}
    try:
        filling = Filling(work, target, own, mark, share.relative)
        if filling.record.changed:  # nobody had begun; whoever comes first says with what
            with alone(whole, SECONDS_TO_BEGIN):
                filling = Filling(work, target, own, mark, share.relative)
                filling.begin()
                out.mkdir(exist_ok=True)
        with alone(target):
            return _filled(filling, target, shard, progress or Silence())
    except OSError as error:
        raise cannot_write(target.table, error) from error


class _Share:
    """The images of one shard, and what all of them are, in one pass."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.mark = ListMark()
        self.relative = False

    def of(self, inputs: Iterable[Input]) -> Iterator[Input]:
        return self.shard.cut(self._seen(inputs))

    def _seen(self, inputs: Iterable[Input]) -> Iterator[Input]:
        for each in inputs:
            self.mark.add(each.name)
            self.relative = self.relative or is_relative(each)
            yield each


def _filled(filling: Filling, target: ShardTarget, shard: Shard, progress: Progress) -> Outcome:
    total = len(filling.inputs)
    before = read_manifest(target.manifest, ShardManifest)
    if before is not None and _whole(before, filling, target, shard):
        return Outcome(total, total, 0)
    for stale in (target.manifest, target.out / MERGED):  # neither holds while rows are added
        with suppress(FileNotFoundError):
            stale.unlink()
    outcome = filling.run(progress)
    manifest = ShardManifest(
        visionkit=__version__,
        model=str(filling.work.model.absolute()),
        names_from=filling.record.names_from,
        work=filling.record.work,
        shard=shard.number,
        images=total,
        names=str(NameSum.of(each.name for each in filling.inputs)),
        failed=outcome.failed,
        parts=list(parts_in(target.table)),
    )
    write_manifest(target.manifest, manifest)
    return outcome


def _whole(said: ShardManifest, filling: Filling, target: ShardTarget, shard: Shard) -> bool:
    """Whether there is nothing to do; known without reading the rows."""
    record = filling.record
    same = said.work == record.work and said.names_from == record.names_from
    ours = said.shard == shard.number and said.failed == 0 and said.rows == len(filling.inputs)
    return same and ours and as_written(target.table, said.parts)
