"""Single images that are named by addresses: files in object stores, and those in tar files."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO
from urllib.parse import unquote

from visionkit.data.images import IMAGE_ENDINGS
from visionkit.errors import DataError, VisionkitError
from visionkit.shards.addresses import (
    STORES,
    Shard,
    expand,
    file_system,
    is_remote,
    reaching,
    shards_at,
    shown,
)
from visionkit.shards.cache import ShardCache
from visionkit.shards.source import shard_cache
from visionkit.shards.tars import members
from visionkit.sources.base import Store

_TAR_ABOVE = re.compile(r"\.tar(?=/.)", re.IGNORECASE | re.DOTALL)
_LOCAL = "file://"
_WEB = ("http://", "https://")
_LISTED = 4
"""Tar files of which memory holds what is in them."""
_ROOM = 4
"""The next tar file is fetched ahead where the cache has room for so many: others may be read beside it."""


class Tars:
    """Reads images out of tar files, and keeps what it has fetched of them where a store says.

    The one that was read last stays open: images that come in its order need it once, even where it has to
    leave the cache meanwhile.

    Args:
        store: called when the first one is needed.
    """

    def __init__(self, store: Callable[[], Store] = Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: tuple[Shard, BinaryIO] | None = None
        self._next: _Fetch | None = None
        self._places: dict[Shard, dict[str, tuple[int, int]]] = {}

    @cached_property
    def cache(self) -> ShardCache:
        """Where fetched tar files are kept."""
        return shard_cache(self._store())

    def named(self, name: str) -> Iterator[StoredImage | Tar]:
        """What a name for which `means_more` means; no tar file is looked at for that.

        Raises:
            VisionkitError: it means nothing, or the store cannot be asked.
        """
        for address in expand(name):
            if is_tar(address):
                whole = address if is_remote(address) else Path(address).absolute().as_uri()
                yield Tar(whole, address, self)
            elif Path(address).suffix.lower() in IMAGE_ENDINGS:
                yield StoredImage(address, self)

    def images(self, tar: Shard, above: str) -> list[StoredImage]:
        """The images in a tar file, in its order, which are called ABOVE/NAME.

        Raises:
            VisionkitError: it cannot be fetched, or is no whole tar file.
        """
        with self._lock:
            return [StoredImage(f"{above}/{name}", self, tar, len(above) + 1) for name in self._listed(tar)]

    def read(self, tar: Shard, name: str, most: int) -> bytes:
        """At most so many bytes of an image, and one more where it has more.

        Raises:
            VisionkitError: the tar file cannot be fetched or read, or has no such image.
        """
        with self._lock:
            places = self._listed(tar)
            if name not in places:
                raise DataError("there is no such image in the shard")
            offset, length = places[name]
            file = self._file(tar)
            file.seek(offset)
            return file.read(min(length, most + 1))

    def fetch_ahead(self, tar: Shard) -> None:
        """Fetch a tar file in a thread, and hold it, unless the cache is too small for that."""
        if not tar.is_local and self.cache.limit >= _ROOM * tar.size:
            with self._lock:
                self._next = _Fetch(self.cache, tar)
                self._next.start()

    def _listed(self, tar: Shard) -> dict[str, tuple[int, int]]:
        """Where each image lies."""
        if tar not in self._places:
            found = {
                member.name: (member.offset, member.length)
                for member in members(self._file(tar), shown(tar.address))
                if Path(member.name).suffix.lower() in IMAGE_ENDINGS
            }
            if len(self._places) >= _LISTED:
                del self._places[next(iter(self._places))]
            self._places[tar] = found
        return self._places[tar]

    def _file(self, tar: Shard) -> BinaryIO:
        if self._open is None or self._open[0] != tar:
            self._close()
            ahead, self._next = self._next, None
            fetched = ahead.result() if ahead is not None and ahead.tar == tar else None
            self._open = tar, fetched or self.cache.open(tar)
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        self._close()


class _Fetch(threading.Thread):
    """Opens a tar file of the cache; whoever needs it hears what is wrong when it opens it itself."""

    def __init__(self, cache: ShardCache, tar: Shard) -> None:
        super().__init__(daemon=True)
        self.tar = tar
        self._cache = cache
        self._file: BinaryIO | None = None

    def run(self) -> None:
        with suppress(VisionkitError, OSError):
            self._file = self._cache.open(self.tar)

    def result(self) -> BinaryIO | None:
        self.join()
        return self._file


class StoredImage(str):
    """The address of an image in an object store or in a tar file, with what reads it.

    Args:
        address: of the image.
        tars: opens the tar file.
        tar: the one that it is in; by default its address says so.
        start: where its name in the tar file begins in the address.
    """

    __slots__ = ("start", "tar", "tars")
    tars: Tars
    tar: Shard | None
    start: int

    def __new__(cls, address: str, tars: Tars, tar: Shard | None = None, start: int = 0) -> StoredImage:
        made = super().__new__(cls, address)
        made.tars, made.tar, made.start = tars, tar, start
        return made

    def fetch(self, folder: Path, most: int) -> Path:
        """Write the image to a new file in `folder`.

        Raises:
            DataError: it cannot be fetched, or has more bytes than `most`; the message is the reason only.
        """
        file = folder / token_hex(8)
        try:
            data = self._read(most)
        except VisionkitError as error:
            raise DataError(str(error).removeprefix(f"{shown(self)}: ").rstrip(".")) from error
        if len(data) > most:
            raise DataError(f"larger than {most // 10**6} MB")
        file.write_bytes(data)
        return file

    def _read(self, most: int) -> bytes:
        if self.tar is not None:
            return self.tars.read(self.tar, self[self.start :], most)
        if (parts := _parts(self)) is not None:
            return self.tars.read(_shard(parts[0]), parts[1], most)
        with reaching(self):
            system, path = file_system(self)
            with system.open(path, "rb") as content:
                data: bytes = content.read(most + 1)
        return data


@dataclass(frozen=True)
class Tar:
    """All images of a tar file.

    Args:
        address: of the tar file; file:// for one on the disk.
        named: the path or address by which it was found.
        tars: opens it.
        shard: what is at the address, where that is known.
    """

    address: str
    named: str = field(compare=False)
    tars: Tars
    shard: Shard | None = None

    def fetch_ahead(self) -> None:
        """Begin to fetch it, where it was looked at and the cache has room."""
        if self.shard is not None:
            self.tars.fetch_ahead(self.shard)

    def images(self) -> list[StoredImage]:
        """What is in it, in its order.

        Raises:
            VisionkitError: it cannot be fetched, or is no whole tar file.
        """
        return self.tars.images(self.shard or _shard(self.address), self.address)


def looked_at(tars: Sequence[Tar]) -> list[Tar]:
    """The same ones with what is at their addresses; sizes and tags are asked for, many at once.

    Raises:
        VisionkitError: one is not there, or cannot be reached.
    """
    addresses = list(dict.fromkeys(tar.address for tar in tars))
    found = dict(zip(addresses, shards_at([_path(each) for each in addresses]))) if addresses else {}
    return [replace(tar, shard=found[tar.address]) for tar in tars]


@lru_cache(maxsize=1)
def default_tars() -> Tars:
    """Those of who names no store."""
    return Tars()


def means_more(name: str) -> bool:
    """Whether `name` means shards, or a pattern in a store, rather than one address or path."""
    kind = name.partition("://")[0].lower()
    return is_tar(name) or (kind in STORES and re.search(r"[*?\[{]", name) is not None)


def is_tar(address: str) -> bool:
    """Whether a path or an address is called as tar files are."""
    return address.lower().endswith(".tar")


def is_of_store(address: str) -> bool:
    """Whether `address` is of an image in a store, or in a tar file anywhere."""
    return address.partition("://")[0].lower() in STORES or _parts(address) is not None


def _parts(address: str) -> tuple[str, str] | None:
    """The address of the tar file that an image is in, and its name there; None where it is in none.

    Folders may be called like tar files: on the disk, the first that is a file counts.
    """
    places = [found.end() for found in _TAR_ABOVE.finditer(address)]
    if address.startswith(_LOCAL):
        files = [place for place in places if os.path.isfile(_path(address[:place]))]
        places = files or places
    return (address[: places[0]], address[places[0] + 1 :]) if places else None


def _path(address: str) -> str:
    """The path that file:// stands before; another address as it is."""
    path = address.removeprefix(_LOCAL)
    return path if path == address else unquote(path)


@lru_cache(maxsize=4096)
def _shard(address: str) -> Shard:
    return shards_at([_path(address)])[0]
