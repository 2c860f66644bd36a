"""How much the cache may take of the disk, and what goes where it needs more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from visionkit.cache.listing import Entry, entries, idle_locks, lock_file
from visionkit.progress import quantity

SPARED = 1 << 30
"""Bytes of the disk that the cache leaves free."""


@dataclass(frozen=True)
class Room:
    """Whether images fit.

    Args:
        fits: whether they do, now.
        removed: the caches that had to go for that.
        reason: why they do not fit, for people.
    """

    fits: bool
    removed: tuple[Entry, ...] = ()
    reason: str = ""


def make_room(folder: Path, total: int, written: int, limit: int, keep: Collection[str]) -> Room:
    """See that a cache of `total` bytes fits into `folder`.

    What is of no use goes first for that, then the least recently used caches; where all of them would not be
    enough, none goes.

    Args:
        folder: of the caches; it is there.
        total: bytes.
        written: bytes that are there already of these.
        limit: bytes that all caches together may take.
        keep: names of caches that stay.
    """
    there = entries(folder)
    taken = sum(entry.bytes for entry in there if entry.is_whole)
    found = [entry for entry in there if entry.name not in keep]
    free = shutil.disk_usage(folder).free - SPARED
    over_limit, over_disk = taken + total - limit, total - written - free
    if max(over_limit, over_disk) <= 0:
        return Room(True)
    refused = _reason(folder, total, written, limit, free, taken)
    of_caches = sum(entry.bytes for entry in found if entry.is_whole)
    if of_caches < over_limit or sum(entry.bytes for entry in found) < over_disk:
        return Room(False, reason=refused)
    removed = []
    for entry in sorted(found, key=lambda entry: (entry.is_whole, entry.used)):
        if max(over_limit, over_disk) <= 0:
            break
        if remove(entry):
            over_disk -= entry.bytes
            if entry.is_whole:
                over_limit -= entry.bytes
                removed.append(entry)
    fits = max(over_limit, over_disk) <= 0
    return Room(fits, tuple(removed), "" if fits else refused)


def remove(entry: Entry) -> bool:
    """Delete a cache, unless a process writes it just now; those that read it keep what they have open."""
    place = entry.folder.with_name(entry.name)
    lock = FileLock(lock_file(place))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    try:
        gone = entry.folder
        if gone == place:
            gone = place.with_name(f".{entry.name}.gone-{os.getpid()}")
            shutil.rmtree(gone, ignore_errors=True)  # of another process with this number, which was killed
            place.rename(gone)  # at once, so that nobody finds half of it
        if gone.is_symlink() or gone.is_file():
            gone.unlink()
        else:
            shutil.rmtree(gone, ignore_errors=True)
        return not gone.exists()
    except OSError:
        return False
    finally:
        lock.release()


def remove_idle_locks(folder: Path) -> None:
    """Delete the lock files of caches that are not there; those that a process holds stay."""
    for file in idle_locks(folder):
        with suppress(Timeout, OSError), FileLock(file, timeout=0):
            file.unlink()


def _reason(folder: Path, total: int, written: int, limit: int, free: int, taken: int) -> str:
    asked = quantity(total, "bytes")
    if total - written > free:
        left = quantity(max(free + written, 0), "bytes")
        return f"the images take {asked}, and the disk of {folder} has {left} to spare"
    others = f" besides {quantity(taken, 'bytes')} of other caches" if taken else ""
    return (
        f"the images take {asked}{others}, and the limit is {quantity(limit, 'bytes')} (max_gb of [cache] in "
        "settings.ini)"
    )
