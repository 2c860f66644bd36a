"""Single images that are named by addresses: files in object stores, and those in tar files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
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
from visionkit.shards.tar_reading import TarReader

_TAR_ABOVE = re.compile(r"\.tar(?=/.)", re.IGNORECASE | re.DOTALL)
_LOCAL = "file://"
_WEB = ("http://", "https://")


class Tars(TarReader):
    """The tar files that a call names."""

    def named(self, name: str) -> Iterator[StoredImage | Tar]:
        """What a name for which `means_more` means; no tar file is looked at for that.

        Raises:
            VisionkitError: it means nothing, or the store cannot be asked.
        """
        for address in expand(name):
            if is_tar(address):
                whole = address if is_remote(address) else Path(address).absolute().as_uri()
                yield Tar(whole, _without_query(address), self)
            elif Path(address).suffix.lower() in IMAGE_ENDINGS:
                yield StoredImage(address, self)

    def images(self, tar: Shard, above: str) -> list[StoredImage]:
        """The images in a tar file, in its order, which are called ABOVE/NAME.

        Raises:
            VisionkitError: it cannot be fetched, or is no whole tar file.
        """
        return [StoredImage(f"{above}/{name}", self, tar, len(above) + 1) for name in self.listed(tar)]


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
        return self.tars.images(self.shard or _shard(self.address), self.above)

    @property
    def above(self) -> str:
        """What stands before the names of its images."""
        return _without_query(self.address)


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
    return _without_query(address).lower().endswith(".tar")


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


def _without_query(address: str) -> str:
    """A web address without a signature, which is another one each time; anything else as it is."""
    return re.split(r"[?#]", address)[0] if address.lower().startswith(_WEB) else address


def _path(address: str) -> str:
    """The path that file:// stands before; another address as it is."""
    path = address.removeprefix(_LOCAL)
    return path if path == address else unquote(path)


@lru_cache(maxsize=4096)
def _shard(address: str) -> Shard:
    return shards_at([_path(address)])[0]
