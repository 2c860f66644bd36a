"""Unpacking downloaded archives into a folder that is whole or is not there."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import py7zr
from py7zr.exceptions import ArchiveError
from py7zr.io import Py7zIO, WriterFactory

from visionkit.errors import DataError

_FAULTS = (tarfile.TarError, zipfile.BadZipFile, ArchiveError, EOFError, OSError, ValueError)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip, tar (gz, bz2, xz), 7z or tar.7z archive to `folder`, which must not exist.

    Members are written beside `folder`, which appears by renaming once all of them are there. A tar inside a 7z is
    streamed and never written to the disk.

    Raises:
        DataError: the archive is damaged, or a member points out of the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _unpacker(archive)(archive, beside)
        beside.chmod(0o755)
        beside.rename(folder)
    except _FAULTS as error:
        raise DataError(f"{archive}: cannot be unpacked ({error}). Delete the file and fetch it again.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _unpacker(archive: Path) -> Callable[[Path, Path], None]:
    name = archive.name.lower()
    if name.endswith((".tar.7z", ".tar7z")):
        return _unpack_tar_7z
    if name.endswith(".7z"):
        return _unpack_7z
    return _unpack_zip if name.endswith(".zip") else _unpack_tar


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive, "r:*") as tar:
        tar.extractall(folder, filter="data")


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            refuse_escape(name)
        members.extractall(folder)


def _unpack_7z(archive: Path, folder: Path) -> None:
    with py7zr.SevenZipFile(archive) as members:
        for name in members.getnames():
            refuse_escape(name)
        members.extractall(folder)


def refuse_escape(member: str) -> None:
    """Raise ValueError where the name of an archive's member points out of the folder."""
    parts = member.replace("\\", "/").split("/")
    if member.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise ValueError(f"its member {member!r} points out of the folder")


class _PipeFactory(WriterFactory):
    """Hands py7zr one pipe to write every member to."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe

    def create(self, filename: str) -> Py7zIO:
        return _PipeWriter(self.pipe)


class _PipeWriter(Py7zIO):
    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self.written = 0

    def write(self, data: bytes | bytearray) -> int:
        self.pipe.write(data)
        self.written += len(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        self.pipe.flush()

    def size(self) -> int:
        return self.written


def _unpack_tar_7z(archive: Path, folder: Path) -> None:
    with py7zr.SevenZipFile(archive) as members:
        if len(members.getnames()) != 1:
            raise ValueError("a .tar.7z holds one tar file, and this one does not")
        read_end, write_end = os.pipe()
        faults: list[BaseException] = []

        def decompress() -> None:
            try:
                with os.fdopen(write_end, "wb") as pipe:
                    members.extractall(factory=_PipeFactory(pipe))
            except BrokenPipeError:
                pass  # the reader stopped and raises the reason
            except BaseException as error:
                faults.append(error)

        writer = threading.Thread(target=decompress, daemon=True)
        writer.start()
        try:
            with os.fdopen(read_end, "rb") as pipe, tarfile.open(fileobj=pipe, mode="r|") as tar:
                tar.extractall(folder, filter="data")
                while pipe.read(1 << 20):  # padding after the end of the tar
                    continue
        except tarfile.TarError as error:
            writer.join(timeout=60)
            raise ValueError(faults[0] if faults else error) from error
        writer.join()
    if faults:
        raise ValueError(str(faults[0])) from faults[0]
