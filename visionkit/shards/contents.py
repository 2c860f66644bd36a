"""Whether shards still are what they were when they were indexed."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from visionkit.errors import DataError
from visionkit.shards.addresses import Shard, shown


class ChangedShard(DataError):
    """A shard is not what it was when it was indexed."""


def digest_of(file: BinaryIO) -> str:
    """A hash of the file's whole content, 32 hexadecimal digits."""
    found = blake2b(digest_size=16)
    file.seek(0)
    while data := file.read(1 << 20):
        found.update(data)
    return found.hexdigest()


def open_local(shard: Shard) -> BinaryIO:
    """A shard on the local disk, where it lies; whoever calls closes it.

    Raises:
        DataError: it cannot be read.
        ChangedShard: its size has changed, or its time and its content.
    """
    try:
        file = open(shard.address, "rb")  # noqa: SIM115 (whoever calls closes it)
    except OSError as error:
        raise DataError(f"{shard.address}: the shard cannot be read any more ({error.strerror}).") from error
    status = os.fstat(file.fileno())
    same = status.st_size == shard.size and (
        str(status.st_mtime_ns) == shard.tag or _is_still(file, status.st_mtime_ns, shard)
    )
    if not same:
        file.close()
        raise ChangedShard(
            f"{shard.address}: the shard is not what it was when it was indexed. Start anew: then it is "
            "indexed again."
        )
    file.seek(0)
    return file


_looked_at: dict[tuple[str, int, str], bool] = {}
"""Local shards whose time has changed: address, time and digest, and whether they still have that digest."""


def _is_still(file: BinaryIO, time_ns: int, shard: Shard) -> bool:
    """Whether a file that was touched has its content yet; read once for each time that it has."""
    mark = shard.address, time_ns, shard.digest
    if mark not in _looked_at:
        _looked_at[mark] = not shard.digest or digest_of(file) == shard.digest
    return _looked_at[mark]


def refuse_changed(shard: Shard, part: Path) -> None:
    """Raise `ChangedShard` where what was fetched into `part` is not what was indexed."""
    if not shard.digest:
        return
    with part.open("rb") as file:
        if digest_of(file) != shard.digest:
            raise ChangedShard(
                f"{shown(shard.address)}: its content is not what it was when it was indexed. Start anew: "
                "then it is indexed again."
            )
