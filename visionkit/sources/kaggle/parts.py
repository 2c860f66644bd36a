"""Names of parts of a data set: in lists of files, and in unpacked trees whose layout nobody promises."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from visionkit.sources.archives import ARCHIVE_ENDINGS


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def unpacked_name(name: str) -> str:
    """The name without folders and endings of archives: "train_v2.csv/train_v2.csv.zip" is "train_v2.csv"."""
    base = PurePosixPath(name).name
    while ending := next(
        (one for one in ARCHIVE_ENDINGS if base.lower().endswith(one) and base.lower() != one), ""
    ):
        base = base[: -len(ending)]
    return base


def listed(wanted: str, names: Iterable[str]) -> str | None:
    """The file of a list that holds `wanted`, packed or not; that in the fewest folders."""
    matches = [name for name in names if unpacked_name(name) == unpacked_name(wanted)]
    return min(matches, key=lambda name: (name.count("/"), name), default=None)


def listed_folder(wanted: str, names: Iterable[str]) -> bool:
    """Whether a list has files in a folder `wanted`."""
    return any(wanted in PurePosixPath(name).parts[:-1] for name in names)


def find_part(tree: Path, name: str) -> Path | None:
    """The file or folder called `name` in `tree`; that in the fewest folders, and the inner one of equally
    named folders around each other.
    """
    found: list[Path] = []
    for parent, folders, files in os.walk(tree):
        if name in folders or name in files:
            found.append(Path(parent, name))
        if name in folders:
            folders.remove(name)
    part = min(found, key=lambda path: (len(path.parts), str(path)), default=None)
    while part is not None and (part / name).exists():
        part /= name
    return part


def take(part: Path, target: Path, keep: bool, beside: Path) -> None:
    """Bring `part` to `target`, which is there as a whole or not at all.

    Args:
        part: a file or a folder.
        target: on the same disk.
        keep: leave `part` where it is, and link its files.
        beside: an empty place on the same disk, for half ones.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not keep:
        part.rename(target)
        return
    beside.parent.mkdir(parents=True, exist_ok=True)
    if part.is_dir():
        shutil.copytree(part, beside, copy_function=_link)
    else:
        _link(str(part), str(beside))
    beside.rename(target)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
    return target
