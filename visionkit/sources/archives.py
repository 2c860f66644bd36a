"""Unpacking downloaded archives into a folder that is whole or is not there."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import py7zr
from py7zr.io import Py7zIO, WriterFactory

from visionkit.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

_PLAIN = (0, stat.S_IFREG, stat.S_IFDIR)


def unpack(archive: Path, target: Path, lift: Callable[[Path], bool] = lambda _: False) -> Path:
    """Unpack a zip, tar (gz, bz2, xz), 7z or tar.7z archive to the folder `target`, which must not exist.

    Members are written beside `target`, which appears by renaming once all of them are there. A tar inside a
    7z is streamed and never written to the disk.

    Args:
        archive: its name tells the format.
        target: the folder to make.
        lift: whether the archive's only member, where there is just one at the top, is to become `target`.

    Raises:
        DataError: the archive is damaged, a member points out of the folder or is no plain file, or it cannot
            be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    whole = beside / "whole"
    whole.mkdir()
    try:
        _unpacker(archive)(archive, whole)
        inner = [member for member in whole.iterdir() if member.name != "__MACOSX"]
        if not any(whole.iterdir()):
            raise ValueError("there is nothing in it")
        (inner[0] if len(inner) == 1 and lift(inner[0]) else whole).rename(target)
    except Exception as error:  # a damaged archive may raise anything: zlib.error, struct.error, …
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{archive}: cannot be unpacked to {target} ({error}).") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{archive}: cannot be unpacked ({reason}). Delete the file and fetch it again."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _unpacker(archive: Path) -> Callable[[Path, Path], None]:
    name = archive.name.lower()
    if name.endswith((".tar.7z", ".tar7z")):
        return _unpack_tar_7z
    if name.endswith(".7z"):
        return _unpack_7z
    return _unpack_zip if name.endswith(".zip") else _unpack_tar


def _unpack_tar(archive: Path, folder: Path) -> None:
    try:
        tar = tarfile.open(archive, "r:*", tarinfo=_Member)  # noqa: SIM115
    except tarfile.ReadError as error:
        raise ValueError("not a tar archive, or damaged from the start") from error
    with tar:
        tar.extractall(folder, filter=_safe)
        while tar.fileobj and tar.fileobj.read(1 << 20):  # to the checksum behind the end of the tar
            continue


class _Member(tarfile.TarInfo):
    """Refuses a missing or damaged header, which tarfile takes for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the block of zeros that ends an archive
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"cut off or damaged: {error}") from error


def _safe(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Python's own filter, after refusing what older versions of it can be tricked with: links that go up."""
    refuse_escape(member.name)
    if member.islnk() or member.issym():
        refuse_escape(member.linkname)
    return tarfile.data_filter(member, folder)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            refuse_escape(member.filename)
            _refuse_special(member.filename, member.external_attr >> 16)
        members.extractall(folder)


def _unpack_7z(archive: Path, folder: Path) -> None:
    with py7zr.SevenZipFile(archive) as members:
        for member in members.files:
            refuse_escape(member.filename)
            _refuse_special(member.filename, member.st_fmt or 0)
            if member.is_symlink:
                raise ValueError(f"its member {member.filename!r} is a link")
        members.extractall(folder)


def refuse_escape(member: str) -> None:
    """Raise ValueError where a member's name, or what it links to, points out of the folder."""
    parts = member.replace("\\", "/").split("/")
    if member.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise ValueError(f"its member {member!r} points out of the folder")


def _refuse_special(member: str, mode: int) -> None:
    """Raise ValueError where a member is a link, a device or the like, for which zip would write a file."""
    if stat.S_IFMT(mode) not in _PLAIN:
        raise ValueError(f"its member {member!r} is neither a file nor a folder")


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
        faults: list[Exception] = []

        def decompress() -> None:
            try:
                with os.fdopen(write_end, "wb") as pipe:
                    members.extractall(factory=_PipeFactory(pipe))
            except BrokenPipeError:
                pass  # the reader stopped and raises the reason
            except Exception as error:
                faults.append(error)

        writer = threading.Thread(target=decompress, daemon=True)
        writer.start()
        try:
            with (
                os.fdopen(read_end, "rb") as pipe,
                tarfile.open(fileobj=pipe, mode="r|", tarinfo=_Member) as tar,
            ):
                tar.extractall(folder, filter=_safe)
                while pipe.read(1 << 20):  # padding after the end of the tar
                    continue
        except tarfile.ReadError:
            writer.join()
            if not faults:  # otherwise the tar ended early because decompressing it failed
                raise
        finally:
            writer.join()  # it ends, for the pipe is closed
    if faults:
        raise faults[0]
