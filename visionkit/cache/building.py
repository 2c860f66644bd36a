"""Filling the cache: each image is read once, in parallel, for every size that is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from errno import EACCES
from pathlib import Path
from typing import Any

from visionkit.cache.listing import lock_file
from visionkit.cache.room import make_room
from visionkit.cache.stored import Kept, Stored, Writer
from visionkit.errors import DataError, VisionkitError
from visionkit.inference.reading import in_order
from visionkit.progress import Progress, quantity
from visionkit.sources.locks import alone_with

AHEAD = 16
"""Images for each thread that are decoded before they are written."""
SEEN_BEFORE_GUESS = 64
"""Images that are written before the size of all is judged by theirs."""


class NoRoom(VisionkitError):
    """The disk, or what the cache may take of it, is too small. The message says by how much."""


@dataclass(frozen=True)
class CacheFolder:
    """Where caches are, and how much they may take.

    Args:
        path: made where it is not there yet.
        limit: bytes that all caches together may take.
    """

    path: Path
    limit: int = 100 * 10**9

    def find(self, key: str, images: int | None = None) -> Stored | None:
        """The whole cache of this name; None where there is none.

        Args:
            key: its name.
            images: how many it has to have, where that is known.
        """
        try:
            stored = Stored(self.path / key)
        except (OSError, ValueError):
            return None
        return stored if images in (None, len(stored)) else None


@dataclass(frozen=True)
class Wanted:
    """A cache that is to be made.

    Args:
        key: its name.
        images: the numbers of its images, rising, each once.
        about: what cache.json says besides.
    """

    key: str
    images: Sequence[int]
    about: Mapping[str, Any] = field(default_factory=dict)


Make = Callable[[int, Sequence[str]], Mapping[str, Kept]]
"""What is kept of the image with this number, for each of these caches."""


def build(
    folder: CacheFolder, wanted: Sequence[Wanted], make: Make, threads: int, progress: Progress
) -> dict[str, Stored]:
    """Open the caches; those that are not there are made, all in one pass over the images.

    Other processes wait meanwhile, and then find them. A cache is there as a whole or not at all.

    Raises:
        NoRoom: it cannot be written; nothing is kept of what was begun.
        DataError: an image or mask cannot be used.
    """
    found = {each.key: folder.find(each.key, len(each.images)) for each in wanted}
    missing = [each for each in wanted if found[each.key] is None]
    if missing:
        with ExitStack() as locked, _writing(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            if not os.access(folder.path, os.W_OK):
                raise PermissionError(EACCES, os.strerror(EACCES))
            for each in sorted(missing, key=lambda each: each.key):  # one order, so that none waits for ever
                place = folder.path / each.key
                locked.enter_context(alone_with(place, lock_file(place), progress, "caches images in"))
            missing = [each for each in missing if folder.find(each.key, len(each.images)) is None]
            if missing:
                _write(folder, missing, make, threads, progress)
            found = {each.key: folder.find(each.key, len(each.images)) for each in wanted}
    for key, stored in found.items():
        if stored is None:
            raise NoRoom(f"{folder.path / key} was removed by another process")
    return {key: stored for key, stored in found.items() if stored is not None}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raise `NoRoom` for whatever keeps a process from writing; faults of images are `DataError`s."""
    try:
        yield
    except OSError as error:
        raise NoRoom(f"{folder} cannot be written ({error.strerror or error})") from error
    except VisionkitError as error:
        if not isinstance(error.__cause__, OSError) or isinstance(error, DataError):
            raise
        reason = error.__cause__.strerror or error.__cause__
        raise NoRoom(f"{folder} cannot be written ({reason})") from error


def _write(
    folder: CacheFolder, wanted: Sequence[Wanted], make: Make, threads: int, progress: Progress
) -> None:
    """Write the caches beside, then rename them."""
    of_image: dict[int, list[str]] = {}
    for each in wanted:
        for number in each.images:
            of_image.setdefault(number, []).append(each.key)
    writers: dict[str, Writer] = {}
    beside = {each.key: folder.path / f".{each.key}.part" for each in wanted}
    try:
        for each in wanted:
            shutil.rmtree(beside[each.key], ignore_errors=True)  # of a process that was killed
            beside[each.key].mkdir(parents=True)
            writers[each.key] = Writer(beside[each.key], each.about)
        numbers = sorted(of_image)
        with progress.track("decoding images once", len(numbers), "images") as advance:
            made = in_order(
                lambda number: make(number, of_image[number]), numbers, threads, AHEAD * max(1, threads)
            )
            for done, kept in enumerate(made, 1):
                for key, each_kept in kept.items():
                    writers[key].add(each_kept)
                advance(1)
                if done == min(SEEN_BEFORE_GUESS, len(numbers)) or done % 1024 == 0:
                    _see_to_room(folder, wanted, writers, progress)
        for writer in writers.values():
            writer.finish()
        for each in wanted:
            shutil.rmtree(folder.path / each.key, ignore_errors=True)  # damaged, or it would have been found
            os.rename(beside[each.key], folder.path / each.key)
    finally:
        for writer in writers.values():
            writer.close()
        for part in beside.values():
            shutil.rmtree(part, ignore_errors=True)


def _see_to_room(
    folder: CacheFolder, wanted: Sequence[Wanted], writers: Mapping[str, Writer], progress: Progress
) -> None:
    """Judge by what is written how much more it will be. Raises NoRoom where that is too much."""
    written = sum(writer.written for writer in writers.values())
    total = sum(
        writers[each.key].written / len(writers[each.key].rows) * len(each.images)
        for each in wanted
        if writers[each.key].rows
    )
    room = make_room(folder.path, int(total), written, folder.limit, [each.key for each in wanted])
    for entry in room.removed:
        size = quantity(entry.bytes, "bytes")
        progress.note(f"cache      removed that of {entry.data} at {entry.size} ({size}), for room")
    if not room.fits:
        raise NoRoom(room.reason)
