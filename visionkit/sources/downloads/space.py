"""Whether the disk has room for what is downloaded, and what is said where it has none."""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from visionkit.errors import VisionkitError
from visionkit.progress import quantity
from visionkit.sources.downloads.refusing import OTHERWISE

KEPT_FREE = 1_000_000_000
"""Bytes of the disk that a body of unknown length leaves free."""


def require_space(target: Path, needed: int | None, freed: int = 0) -> None:
    """Raise where a file cannot fit.

    Args:
        target: the file; its folder is there.
        needed: bytes; None where nobody knows.
        freed: bytes of what it replaces.

    Raises:
        VisionkitError: fewer bytes are free.
    """
    free = shutil.disk_usage(target.parent).free + freed
    if needed is not None and needed > free:
        raise VisionkitError(
            f"{target}: there is no space for it: {quantity(needed, 'bytes')} are needed and "
            f"{quantity(free, 'bytes')} are free. Make room and call again."
        )


def has_room(target: Path) -> bool:
    """Whether a body of unknown length may grow beside `target`."""
    return shutil.disk_usage(target.parent).free >= KEPT_FREE


def endless(shown: str, have: int) -> VisionkitError:
    """What is said of a body without an end, of which `have` bytes had arrived from the address `shown`."""
    return VisionkitError(
        f"{shown}: does not end: the server does not say how long it is, and after "
        f"{quantity(have, 'bytes')} less than {quantity(KEPT_FREE, 'bytes')} of the disk are free. "
        f"What had arrived is deleted. {OTHERWISE}"
    )


def unwritable(error: OSError, target: Path) -> VisionkitError:
    """What is said where the disk failed as `target` was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with suppress(OSError):
            free = quantity(shutil.disk_usage(target.parent).free, "bytes")
            return VisionkitError(
                f"{target}: there is no space left for it ({free} free). Make room and call again: it goes "
                "on where it stopped."
            )
    return VisionkitError(f"{target}: cannot be written ({error}). Mend that and call again.")
