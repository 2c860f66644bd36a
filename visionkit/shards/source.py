"""Shards as a source of data, named by their addresses: their index is kept, they are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile

from visionkit.errors import DataError
from visionkit.shards.addresses import Shard, expand, shards_at, shown
from visionkit.shards.cache import ShardCache
from visionkit.shards.index import LIST, PARTS, build_index, is_up_to_date
from visionkit.shards.reading import ShardSet, opened_set
from visionkit.sources.base import Store
from visionkit.sources.locks import alone_with

FOLDER, FETCHED, OWN_INDEX = "shards", "fetched", ".visionkit-shards"


@dataclass(frozen=True)
class ShardSource:
    """Shards anywhere.

    Args:
        name: a path or an address, with braces and stars where there are several.
    """

    name: str

    @property
    def url(self) -> str:
        """The address, without passwords."""
        return shown(self.name)

    @property
    def licence(self) -> str:
        """Nobody knows."""
        return ""

    def folder(self, root: Path) -> Path:
        """Where the index is, with `root` as the store's folder."""
        return root / FOLDER / _folder_name(self.name)

    def leftovers(self, root: Path) -> list[Path]:
        """None: fetched shards go by themselves, and may be of several sets."""
        return []

    def is_there(self, root: Path) -> bool:
        """Whether there is an index."""
        return (self.folder(root) / LIST).is_file()

    def fetch(self, store: Store) -> Path:
        """The folder of the index, made where it is not there or the shards have changed.

        Raises:
            UsageError: the name means no shard.
            DataError: a shard is not there, not whole, or not as WebDataset has them.
            VisionkitError: one cannot be reached.
        """
        folder = self.folder(store.root)
        _index(folder, shards_at(expand(self.name)), shard_cache(store), store)
        return folder


def shard_set(path: Path, store: Store | None = None) -> ShardSet:
    """The images of the shards in the folder `path`, or of those that it is the index of.

    Tar files of a folder are found at any depth, and indexed once; the index is a folder among them, or in
    the store where nothing can be written there.

    Raises:
        DataError: there are none, or one is not whole or not as WebDataset has them.
        VisionkitError: the index cannot be written.
    """
    if (path / LIST).is_file():
        return opened_set(path.absolute(), path)
    found = sorted(str(file) for file in path.rglob("*.tar"))
    if not found and (path / PARTS).is_dir():
        raise DataError(
            f"{path}: the index of these shards is not whole, as a shard of it has changed or indexing was "
            "interrupted. Give --data the address of the shards, and it is made anew."
        )
    if not found:
        raise DataError(
            f"{path}: no shards, which would be files that end in .tar. Name others, such as --data "
            "'s3://bucket/train-{000000..000146}.tar'."
        )
    store = store or Store()
    folder, shards, cache = path.absolute() / OWN_INDEX, shards_at(found), shard_cache(store)
    if not is_up_to_date(folder, shards, cache) and not _can_be_written(folder):
        folder = (store.root / FOLDER / _folder_name(str(path.absolute()))).absolute()
    _index(folder, shards, cache, store)
    return opened_set(folder, path)


def shard_cache(store: Store) -> ShardCache:
    """Where fetched shards are kept."""
    return ShardCache((store.root / FOLDER / FETCHED).absolute(), store.shard_bytes)


def _folder_name(name: str) -> str:
    """Of an index: readable, and a hash because different names may read the same."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", shown(name))[-60:].strip("-.")
    return f"{readable}-{sha256(name.encode()).hexdigest()[:8]}"


def _can_be_written(folder: Path) -> bool:
    """Whether an index can be, and the lock beside it."""
    try:
        folder.mkdir(exist_ok=True)
        for each in (folder, folder.parent):
            with TemporaryFile(dir=each):
                pass
    except OSError:
        return False
    return True


def _index(folder: Path, shards: list[Shard], cache: ShardCache, store: Store) -> None:
    if is_up_to_date(folder, shards, cache):
        return
    lock = folder.with_name(f".{folder.name}.index.lock")
    with alone_with(folder, lock, store.progress, "indexes shards in"):
        if not is_up_to_date(folder, shards, cache):
            build_index(folder, shards, cache, store.progress)
            opened_set.cache_clear()
