"""Unpacking downloaded archives into a folder that is whole or is not there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from visionkit.errors import DataError
from visionkit.progress import Progress, Silence
from visionkit.sources.archives.job import Job
from visionkit.sources.archives.kinds import ARCHIVE_ENDINGS, archive_kind
from visionkit.sources.archives.members import Refused
from visionkit.sources.base import Limits

_FULL = (errno.ENOSPC, errno.EDQUOT)


def unpack(
    archive: Path,
    target: Path,
    *,
    progress: Progress = Silence(),  # noqa: B008  # it has no state
    limits: Limits = Limits(),  # noqa: B008  # it is frozen
    lift: Callable[[Path], bool] = lambda _: False,
) -> Path:
    """Unpack a zip, tar (gz, bz2, xz), 7z or tar.7z archive to the folder `target`, which must not exist.

    Members are written into a hidden folder beside `target`, which appears by renaming once all of them are
    there. A tar inside a 7z is streamed and never written to the disk. Modes, owners and times are those of
    new files. Hidden folders that killed calls for the same `target` left are removed first: whoever calls
    from several processes holds a lock meanwhile.

    Args:
        archive: its name tells the format, or its first bytes where the name says nothing.
        target: the folder to make.
        progress: hears of the bytes read or written, in the calling thread.
        limits: how much an archive may unpack to before it is taken for a bomb.
        lift: whether the archive's only member, where there is just one at the top, is to become `target`.

    Raises:
        DataError: the archive is damaged or encrypted; a member points out of the folder, is no plain file,
            clashes with another or is a bomb; or `target` is there or cannot be written.
    """
    beside = None
    try:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it is there already", str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-unpacking-", dir=target.parent)).absolute()
        whole = beside / "whole"
        whole.mkdir()
        _unpacker(archive)(Job(archive, whole, limits, progress))
        _wanted(whole, lift).rename(target)
    except Refused as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}). {error.advice}") from error
    except Exception as error:  # a damaged archive may raise anything: zlib.error, struct.error, …
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DataError(
                f"{archive}: cannot be unpacked to {target} (the disk is full). Make room and call again."
            ) from error
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{archive}: cannot be unpacked to {target} ({error}).") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{archive}: cannot be unpacked ({reason}). Delete the file and fetch it again."
        ) from error
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)
    return target


def _unpacker(archive: Path) -> Callable[[Job], None]:
    """The function for the format of `archive`; py7zr is imported for 7z only."""
    with archive.open("rb"):
        kind = archive_kind(archive)
    if kind == "zip":
        from visionkit.sources.archives.zip import unpack_zip

        return unpack_zip
    if kind == "tar":
        from visionkit.sources.archives.tar import unpack_tar

        return unpack_tar
    if kind is None:
        known = ", ".join(ARCHIVE_ENDINGS)
        raise Refused(
            f"it is none of {known}",
            "Unpack it yourself and name the folder with --data.",
        )
    from visionkit.sources.archives.seven_zip import unpack_7z, unpack_tar_7z

    return unpack_7z if kind == "7z" else unpack_tar_7z


def _wanted(whole: Path, lift: Callable[[Path], bool]) -> Path:
    """What is to become the target: `whole`, or its only member where that is to be lifted and is no link."""
    members = list(whole.iterdir())
    if not members:
        raise ValueError("there is nothing in it")
    inner = [member for member in members if member.name != "__MACOSX"]
    if len(inner) == 1 and not inner[0].is_symlink() and lift(inner[0]):
        return inner[0]
    return whole


def _remove_leftovers(target: Path) -> None:
    """Delete the hidden folders of calls for `target` that were killed."""
    ours = re.compile(rf"\.{re.escape(target.name)}-unpacking-[a-z0-9_]{{8}}")
    for path in target.parent.iterdir():
        if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
