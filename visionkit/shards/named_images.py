"""Single images that are named by addresses: files in object stores, and those in shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

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
from visionkit.shards.source import shard_cache
from visionkit.shards.tars import members
from visionkit.sources.base import Store

_IN_SHARD = re.compile(r"(?P<shard>.+?\.tar)/(?P<name>.+)", re.IGNORECASE | re.DOTALL)
_LOCAL = "file://"


def means_more(name: str) -> bool:
    """Whether `name` means shards, or a pattern in a store, rather than one address or path."""
    kind = name.partition("://")[0].lower()
    return name.lower().endswith(".tar") or (kind in STORES and re.search(r"[*?\[{]", name) is not None)


def addresses_of(name: str) -> Iterator[str]:
    """The addresses of all images that `name` means: those in shards are SHARD.tar/NAME.

    Raises:
        VisionkitError: it means nothing, or a shard cannot be read.
    """
    for address in expand(name):
        if not address.lower().endswith(".tar"):
            if Path(address).suffix.lower() in IMAGE_ENDINGS:
                yield address
            continue
        whole = address if is_remote(address) else Path(address).absolute().as_uri()
        for member in _places(_shard(whole)):
            yield f"{whole}/{member}"


def is_of_store(address: str) -> bool:
    """Whether `address` is of an image in a store, or in a shard anywhere."""
    return address.partition("://")[0].lower() in STORES or _IN_SHARD.fullmatch(address) is not None


def fetch_stored(address: str, folder: Path, most: int) -> Path:
    """Write the image at this address to a new file in `folder`.

    Raises:
        DataError: it cannot be fetched, or has more bytes than `most`; the message is the reason only.
    """
    file = folder / token_hex(8)
    found = _IN_SHARD.fullmatch(address)
    try:
        if found is None:
            with reaching(address):
                system, path = file_system(address)
                with system.open(path, "rb") as content:
                    data = content.read(most + 1)
        else:
            data = _in_shard(_shard(found["shard"]), found["name"], most)
    except VisionkitError as error:
        raise DataError(str(error).removeprefix(f"{shown(address)}: ").rstrip(".")) from error
    if len(data) > most:
        raise DataError(f"larger than {most // 10**6} MB")
    file.write_bytes(data)
    return file


def _in_shard(shard: Shard, name: str, most: int) -> bytes:
    places = _places(shard)
    if name not in places:
        raise DataError("there is no such image in the shard")
    offset, length = places[name]
    with shard_cache(Store()).open(shard) as file:
        file.seek(offset)
        return file.read(min(length, most + 1))


@lru_cache(maxsize=4096)
def _shard(address: str) -> Shard:
    path = address.removeprefix(_LOCAL)
    if path != address:
        from urllib.parse import unquote

        path = unquote(path)
    return shards_at([path])[0]


@lru_cache(maxsize=4)
def _places(shard: Shard) -> dict[str, tuple[int, int]]:
    """Where each image of the shard lies in it."""
    with shard_cache(Store()).open(shard) as file:
        return {
            member.name: (member.offset, member.length)
            for member in members(file, shown(shard.address))
            if Path(member.name).suffix.lower() in IMAGE_ENDINGS
        }
