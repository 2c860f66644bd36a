"""Which caches there are, and what processes left that were killed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from visionkit.cache.stored import ABOUT, read_about

KEY = re.compile(r"[0-9a-f]{24}")
"""Names of caches; nothing else in the folder is ours."""
_REMAINS = re.compile(rf"\.({KEY.pattern})\.(part|gone-\d+)")


@dataclass(frozen=True)
class Entry:
    """One cache: the images of a data set at one size.

    Args:
        folder: where it is.
        kind: "training" or "validation"; "damaged" where cache.json does not tell, and "unfinished" for what
            is being written or removed, or was when its process ended. Those two have no recipe, data, size
            and images.
        recipe: that made it.
        data: the data set's folder.
        size: of the images, for people, such as "448x448".
        images: how many.
        bytes: that it takes on the disk.
        used: when it was last opened.
    """

    folder: Path
    kind: Literal["training", "validation", "damaged", "unfinished"]
    recipe: str
    data: str
    size: str
    images: int
    bytes: int
    used: datetime

    @property
    def name(self) -> str:
        """Its key."""
        found = _REMAINS.fullmatch(self.folder.name)
        return found[1] if found else self.folder.name

    @property
    def is_whole(self) -> bool:
        """Whether it is of use to a training."""
        return self.kind in ("training", "validation")


def entries(folder: Path) -> list[Entry]:
    """All caches in `folder`, the most recently used first, then what is damaged and unfinished.

    There are none where the folder is not there.
    """
    found = []
    with suppress(OSError):
        for each in folder.iterdir():
            with suppress(OSError):  # being removed
                if KEY.fullmatch(each.name):
                    found.append(_entry(each))
                elif _REMAINS.fullmatch(each.name):
                    found.append(_useless(each, "unfinished"))
    return sorted(found, key=lambda entry: (entry.is_whole, entry.used, entry.name), reverse=True)


def _entry(folder: Path) -> Entry:
    try:
        told = read_about(folder)
        kind = told["kind"]
        if kind not in ("training", "validation"):
            raise ValueError(kind)
        return Entry(
            folder=folder,
            kind=kind,
            recipe=str(told["recipe"]),
            data=str(told["data"]),
            size=str(told["size"]),
            images=int(told["images"]),
            bytes=_size(folder),
            used=datetime.fromtimestamp((folder / ABOUT).stat().st_mtime),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return _useless(folder, "damaged")


def _useless(folder: Path, kind: Literal["damaged", "unfinished"]) -> Entry:
    used = datetime.fromtimestamp(folder.lstat().st_mtime)
    return Entry(folder, kind, "", "", "", 0, _size(folder), used)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.iterdir()) if folder.is_dir() else 0


def lock_file(folder: Path) -> Path:
    """What is locked by whoever writes or removes the cache at `folder`."""
    return folder.with_name(f".{folder.name}.lock")


def idle_locks(folder: Path) -> list[Path]:
    """The lock files of caches that are not there."""
    return [
        lock
        for lock in folder.glob(".*.lock")
        if KEY.fullmatch(name := lock.name[1:-5])
        and not (folder / name).exists()
        and not (folder / f".{name}.part").exists()
    ]
