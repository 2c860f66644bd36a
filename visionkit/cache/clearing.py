"""Deleting caches that the user names, and what killed processes left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from visionkit.cache.listing import Entry, entries
from visionkit.cache.room import remove, remove_idle_locks
from visionkit.errors import UsageError, nearest

SHORTEST = 6
"""Digits of a key that tell which cache is meant."""


@dataclass(frozen=True)
class Cleared:
    """What came of clearing.

    Args:
        removed: is gone.
        left: is there still, because a process writes it, or the disk does not let it go.
    """

    removed: tuple[Entry, ...]
    left: tuple[Entry, ...]

    @property
    def bytes(self) -> int:
        """That are free now."""
        return sum(entry.bytes for entry in self.removed)


def chosen(folder: Path, names: Sequence[str] = (), days: float | None = None) -> list[Entry]:
    """The caches in `folder` that are meant, and all that is damaged or unfinished.

    Args:
        folder: of the caches.
        names: keys, or their beginnings, or recipes; without any, all.
        days: those only that were last used longer ago.

    Raises:
        UsageError: a name that no cache has.
    """
    found = entries(folder)
    for name in names:
        if not any(_is_called(entry, name) for entry in found):
            known = sorted({entry.recipe for entry in found if entry.recipe})
            hint = nearest(name, known) if known else ""
            raise UsageError(f"there is no cache {name!r} in {folder}.{hint} See visionkit cache list.")
    earliest = None if days is None else datetime.now() - timedelta(days=days)
    return [
        entry
        for entry in found
        if not entry.is_whole
        or (
            (not names or any(_is_called(entry, name) for name in names))
            and (earliest is None or entry.used < earliest)
        )
    ]


def clear(folder: Path, found: Sequence[Entry]) -> Cleared:
    """Delete these caches in `folder`, except those that a process writes; trainings keep what is open."""
    removed: list[Entry] = []
    left: list[Entry] = []
    for entry in found:
        (removed if remove(entry) else left).append(entry)
    remove_idle_locks(folder)
    return Cleared(tuple(removed), tuple(left))


def _is_called(entry: Entry, name: str) -> bool:
    return entry.recipe == name or (len(name) >= SHORTEST and entry.name.startswith(name))
