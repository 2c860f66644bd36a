"""Which images a user means: files, folders, patterns and web addresses."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from visionkit.data.images import image_files, image_names_below, scan_folder, skipped_names
from visionkit.data.problems import gathering
from visionkit.errors import DataError, VisionkitError
from visionkit.progress import Advance, Silence, Unit, quantity
from visionkit.shards.named_images import StoredImage, Tar, Tars, default_tars, is_of_store, means_more

MOST_BYTES = 100_000_000
"""How large an image from the web may be."""
MOST_SECONDS = 120.0
"""How long it may take to arrive."""


@dataclass(frozen=True)
class Unusable:
    """What was named and is no image that can be read.

    Args:
        name: what the user wrote, or the file.
        reason: why, for people.
        unlisted: whether it may stand for any number of images, which could not be listed.
    """

    name: str
    reason: str
    unlisted: bool = False


def find_images(names: Iterable[str], tars: Tars | None = None) -> Iterator[str | Unusable]:
    """The paths and addresses of all images that `names` mean, in their order.

    A name is a file, whatever its ending, a folder, whose images count at any depth, a pattern with `*`, `?`
    or `[…]`, where `**` stands for any folders, or an address of the web or of an object store, where there
    are patterns too. Of a tar file, here or at an address, all images are meant; they are called
    SHARD.tar/NAME. A name that means nothing is in its place as `Unusable`.

    Args:
        names: what is named.
        tars: opens tar files; by default one that keeps them where visionkit does without settings.
    """
    for each in find_entries(names, tars or default_tars()):
        if isinstance(each, Tar):
            yield from images_in(each)
        else:
            yield each


def find_entries(names: Iterable[str], tars: Tars) -> Iterator[str | Unusable | Tar]:
    """As `find_images`, with tar files as wholes: they are not looked at."""
    for name in names:
        written = os.path.expanduser(name) if not os.path.lexists(name) else name
        if not os.path.isdir(written) and means_more(name):
            yield from _stored(name, tars)
        elif is_address(name):
            yield at_address(name, tars)
        elif os.path.isdir(written):
            yield from _images_below(Path(written))
        elif os.path.lexists(written):
            yield written
        elif glob.has_magic(written):
            yield from _matches(written)
        else:
            yield Unusable(name, "there is no such file")


def images_in(tar: Tar) -> Iterator[str | Unusable]:
    """The images of a tar file, in its order."""
    try:
        yield from tar.images()
    except VisionkitError as error:
        yield _unlisted(tar.named, error)


def read_names(stream: BinaryIO) -> list[str]:
    r"""The names in a list with one a line, or with a NUL behind each, as from `find -print0`."""
    data = stream.read().removeprefix(b"\xef\xbb\xbf")
    end = b"\0" if b"\0" in data else b"\n"
    return [os.fsdecode(line) for line in _pieces(data, end) if line.strip()]


def _pieces(data: bytes, end: bytes) -> Iterator[bytes]:
    """What `split` gives, one by one; lines without a carriage return at the end."""
    begin = 0
    while begin <= len(data):
        place = data.find(end, begin)
        place = len(data) if place < 0 else place
        piece = data[begin:place]
        yield piece if end == b"\0" else piece.rstrip(b"\r")
        begin = place + 1


def is_address(name: str) -> bool:
    """Whether `name` is a web address rather than a path."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", name) is not None


def at_address(address: str, tars: Tars) -> str:
    """An address that knows what reads it, where web servers alone do not."""
    return StoredImage(address, tars) if is_of_store(address) else address


def shown_name(name: str) -> str:
    """`name` as people may see it: an address without the password that it may hold."""
    if not is_address(name):
        return name
    from visionkit.sources.downloads.answers import public_url  # requests, which files do not need

    return public_url(name)


def fetch_image(url: str, folder: Path) -> Path:
    """Fetch an image from the web into a new file in `folder`.

    Raises:
        DataError: it cannot be fetched, or is larger than `MOST_BYTES`; the message is the reason only.
    """
    from visionkit.sources.downloads.downloading import download, is_web_address

    stored = url if isinstance(url, StoredImage) else at_address(url, default_tars())
    if isinstance(stored, StoredImage):
        return stored.fetch(folder, MOST_BYTES)
    if not is_web_address(url):
        raise DataError("only addresses of the web (https://) and of object stores (s3://) are fetched")
    try:
        return download(url, folder / token_hex(8), progress=_Capped(), seconds=MOST_SECONDS)
    except DataError:
        raise
    except VisionkitError as error:
        # What downloads of data sets advise, such as --data, is of no use here: keep the reason, in brackets.
        reason = re.search(r"\((.+)\)", str(error), re.DOTALL)
        raise DataError(f"cannot be fetched ({reason[1]})" if reason else str(error)) from error


class _Capped(Silence):
    """Ends a download that is too large."""

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        have = 0

        def advance(count: int) -> None:
            nonlocal have
            have += count
            if have > MOST_BYTES:
                raise DataError(f"larger than {quantity(MOST_BYTES, 'bytes')}")

        advance(total or 0)
        have = 0
        yield advance


def _images_below(folder: Path) -> Iterator[str | Unusable]:
    """All images in a folder, of which memory has the names from there only: they have to be sorted."""
    names: list[str] = []
    faults: list[Unusable] = []
    with gathering() as problems:
        try:
            names, folders = scan_folder(folder)
            names = sorted(names + image_names_below(folder, folders)) if folders else names
            if skipped := skipped_names(folder):
                names = [name for name in names if name not in skipped]
            if not names:
                image_files(folder, recursive=True)  # says why
        except DataError as error:
            reason = str(error).removeprefix(f"{folder}: ")
            faults = [Unusable(str(folder), reason, unlisted=isinstance(error.__cause__, OSError))]
    above = "" if folder == Path() else os.path.join(folder, "")
    yield from (above + name for name in names)
    yield from faults
    yield from (Unusable(str(folder), each.message.removeprefix(f"{folder}: ")) for each in problems)


def _stored(name: str, tars: Tars) -> Iterator[str | Unusable | Tar]:
    try:
        yield from tars.named(name)
    except VisionkitError as error:
        yield _unlisted(name, error)


def _unlisted(name: str, error: VisionkitError) -> Unusable:
    return Unusable(name, str(error).removeprefix(f"{shown_name(name)}: ").rstrip("."), unlisted=True)


def _matches(pattern: str) -> Iterator[str | Unusable]:
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        yield Unusable(pattern, "no file matches")
    for name in found:
        if not os.path.isdir(name):
            yield name
        elif "**" not in pattern:  # which finds the files in the folder by itself
            yield from _images_below(Path(name))
