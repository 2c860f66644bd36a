"""One process at a time for a folder that is shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from visionkit.errors import VisionkitError
from visionkit.progress import Progress


@contextmanager
def alone_with(
    folder: Path, lock_file: Path, progress: Progress, doing: str = "fetches into"
) -> Iterator[None]:
    """Keep other processes from `folder`; waits for one that is at it, and says so.

    Args:
        folder: what is kept.
        lock_file: whoever keeps it locks this file, whose folder is made where it is missing.
        progress: hears of the wait.
        doing: what the other one does with it, in words.

    Raises:
        VisionkitError: the lock cannot be written.
    """
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"waiting    another process {doing} {folder}")
            lock.acquire()
    except OSError as error:
        raise VisionkitError(
            f"{folder}: cannot be written ({error}). Name another folder as `data` in the [paths] section of "
            "settings.ini."
        ) from error
    try:
        yield
    finally:
        lock.release()
