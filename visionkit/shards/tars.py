"""What is in a shard, by the convention of WebDataset; none may lead outside or fill the memory."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from visionkit.data.images import IMAGE_ENDINGS
from visionkit.errors import DataError

MOST_IMAGE = 500_000_000
"""Bytes of one image."""
MOST_LABEL = 1 << 16
"""Bytes of one label."""
MOST_READ = 1 << 22
"""Bytes that are read of a shard at once while it is indexed: long headers are no longer than that."""
_LABELS = ("cls", "json", "txt")
"""Endings of labels, the first that a sample has counts."""


class Sample(NamedTuple):
    """One image of a shard.

    Args:
        name: of the image's file in the shard.
        offset: where its bytes begin in the shard.
        length: how many there are.
        labels: of the sample.
        tags: whether it may have any number of labels.
    """

    name: str
    offset: int
    length: int
    labels: list[str]
    tags: bool


class Member(NamedTuple):
    """A file in a shard: its name, where its bytes begin, how many there are, and a label's text."""

    name: str
    offset: int
    length: int
    text: bytes | None


def samples(file: BinaryIO, shard: str) -> Iterator[Sample]:
    """The images in a shard with their labels, in its order.

    Files of one sample share their name up to the first dot, and lie one after the other: an image, and a
    label as `.cls` or `.txt`, or `.json` with `label` or `tags`. Other files are left out.

    Args:
        file: an uncompressed tar file that can be sought in.
        shard: its name for people.

    Raises:
        DataError: it is no such file, is cut off, leads outside, or a sample has no image or no label, or
            is there twice.
    """
    seen: set[str] = set()
    key, parts = "", dict[str, Member]()
    for member in members(file, shard):
        folder, slash, base = member.name.rpartition("/")
        stem, _, ending = base.partition(".")
        this = folder + slash + stem
        if this != key:
            if parts:
                yield _sample(key, parts, shard)
            if this in seen:
                raise DataError(f"{shard}: the sample {this!r} is there twice. Pack the shard anew.")
            seen.add(this)
            key, parts = this, {}
        if ending.lower() in parts:
            raise DataError(f"{shard}: the file {member.name!r} is there twice. Pack the shard anew.")
        parts[ending.lower()] = member
    if parts:
        yield _sample(key, parts, shard)


def _sample(key: str, parts: dict[str, Member], shard: str) -> Sample:
    images = [part for ending, part in parts.items() if f".{ending}" in IMAGE_ENDINGS]
    if len(images) != 1:
        what = "no image" if not images else "several images"
        raise DataError(f"{shard}: the sample {key!r} has {what} ({', '.join(parts)}). Pack the shard anew.")
    for ending in _LABELS:
        if (part := parts.get(ending)) is not None:
            found, tags = _labels(part, ending, shard)
            return Sample(images[0].name, images[0].offset, images[0].length, found, tags)
    raise DataError(
        f"{shard}: the sample {key!r} has no label: put {key}.cls, {key}.txt or {key}.json with it."
    )


def _labels(part: Member, ending: str, shard: str) -> tuple[list[str], bool]:
    if part.text is None:
        raise DataError(f"{shard}: {part.name!r} is too long for a label.")
    try:
        text = part.text.decode("utf-8").strip()
        found, tags = ([text], False) if ending != "json" else _of_json(json.loads(text))
        "".join(found).encode()  # which half a pair of surrogates cannot
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        wanted = " with label, a text or number, or tags, a list of them" if ending == "json" else " in UTF-8"
        raise DataError(f"{shard}: {part.name!r} is no label{wanted}.") from error
    if not tags and not found[0]:
        raise DataError(f"{shard}: the label {part.name!r} is empty.")
    return found, tags


def _of_json(content: Any) -> tuple[list[str], bool]:
    """Labels, and whether they are tags; raises TypeError or KeyError for what is neither."""
    if not isinstance(content, dict):
        raise TypeError
    tags = "tags" in content
    found = content["tags"] if tags else [content["label"]]
    kinds = (str, int) if tags else (str, int, bool)
    if not isinstance(found, list) or any(type(each) not in kinds for each in found):
        raise TypeError
    return list(map(str, found)), tags


def members(file: BinaryIO, shard: str) -> Iterator[Member]:
    """The files in a shard, in its order; only what may be a label is read.

    Raises:
        DataError: it is no whole, uncompressed tar file, or leads outside.
    """
    limited = _Limited(file, shard)
    length = file.seek(0, 2)
    file.seek(0)
    place = -1
    try:
        with tarfile.open(fileobj=limited, mode="r:") as tar:  # type: ignore[call-overload]
            while (member := tar.next()) is not None:
                tar.members.clear()  # else all stay in memory
                if member.offset <= place or member.size < 0:
                    raise tarfile.ReadError("its parts lie over each other")
                place = member.offset
                name = member.name.removeprefix("./")
                if member.isdir() or not member.name.strip("./"):
                    continue
                _refuse_hostile(member, name, shard)
                if member.offset_data + member.size > length:
                    raise tarfile.ReadError("it is cut off")
                ending = name.rpartition("/")[2].partition(".")[2].lower()
                text = None
                if ending in _LABELS and member.size <= MOST_LABEL:
                    file.seek(member.offset_data)
                    text = file.read(member.size)
                if name.rpartition("/")[2].startswith("._"):  # what macOS adds
                    continue
                yield Member(name, member.offset_data, member.size, text)
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # with which all tar files end
                raise tarfile.ReadError("it is cut off")
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{shard}: not a whole, uncompressed tar file ({reason}). Fetch or pack it anew."
        ) from error


def _refuse_hostile(member: tarfile.TarInfo, name: str, shard: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise DataError(f"{shard}: {member.name!r} leads outside of the shard. Pack it anew.")
    if not member.isreg() or member.issparse():
        raise DataError(f"{shard}: {name!r} is no plain file; shards hold files only. Pack it anew.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{shard}: the name {name!a} is not UTF-8. Pack it anew.") from error
    if member.size > MOST_IMAGE:
        raise DataError(f"{shard}: {name!r} says that it has {member.size:,} bytes, more than an image may.")


class _Limited:
    """A file for `tarfile`, which would read headers of any length into the memory."""

    def __init__(self, file: BinaryIO, shard: str) -> None:
        self._file, self._shard = file, shard
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_READ:
            raise DataError(f"{self._shard}: a header claims {size:,} bytes. Pack the shard anew.")
        return self._file.read(size)
