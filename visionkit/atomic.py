"""Files that are whole or not there: written beside, flushed to the disk and renamed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

LONGEST = 180
"""Bytes of a file's name that its part keeps, so that its own name is not too long for the file system."""
_PARTS = count()


@contextmanager
def atomic_file(path: Path, *, sync_folder: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` once the block ends without an error.

    Until then it is `.NAME.PID-NUMBER.part` beside `path`, and what stood at `path` is untouched. It is
    flushed to the disk before it is renamed, and the folder after it, so that a machine without power has
    the old file or the new one. Where the block or the writing fails, the part is removed; only a kill
    leaves it behind.

    Args:
        path: the file; its folder is there.
        sync_folder: as said; without it, a machine that loses power may forget the file as a whole. For
            many small files, whose writing it would make half as fast.

    Raises:
        OSError: it cannot be written; `filename` is `path`, also where the system names no file (a full
            disk) or the part.
    """
    beside = _part(path)
    try:
        beside.unlink(missing_ok=True)  # of a killed process that had the same number
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(beside)):
            error.filename, error.filename2 = str(path), None
        raise
    if sync_folder:
        _sync(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` in UTF-8, line ends as they are, as `atomic_file` does.

    Raises:
        OSError: it cannot be written; `filename` is `path`.
    """
    with atomic_file(path) as file:
        file.write(text.encode())


def _part(path: Path) -> Path:
    name = os.fsencode(path.name)[:LONGEST].decode("utf-8", "ignore")
    return path.with_name(f".{name}.{os.getpid()}-{next(_PARTS)}.part")


def _sync(folder: Path) -> None:
    """Have the disk keep the rename; some systems and file systems cannot, and the file is there anyhow."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
