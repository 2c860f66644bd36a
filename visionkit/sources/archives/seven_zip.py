"""7z archives, and a tar inside a 7z, which is never written to the disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath, PurePosixPath
from typing import IO, Any

import py7zr
from py7zr.exceptions import PasswordRequired
from py7zr.io import Py7zIO, WriterFactory

from visionkit.progress import Advance
from visionkit.sources.archives.job import BLOCK, Damaged, Job, MemberFile
from visionkit.sources.archives.members import Refused, encrypted, refuse_special, shown
from visionkit.sources.archives.tar import unpack_tar_stream

_BROKEN = (errno.EPIPE, errno.EINVAL)
"""What writing to a pipe that nobody reads any more says; the latter on Windows."""


def unpack_7z(job: Job) -> None:
    """Unpack a 7z archive, the solid blocks one after the other."""
    with _opened(job) as members:
        files: set[PurePosixPath] = set()
        for info in members.files:
            refuse_special(info.filename, info.st_fmt or 0)
            if info.is_symlink or info.is_junction:  # Windows has its own kinds
                raise Refused(f"its member {shown(info.filename)} is neither a file nor a folder")
            member = job.guard.admit(info.filename, "folder" if info.is_directory else "file")
            job.guard.declared.spend(info.uncompressed, info.filename)
            if info.is_directory:
                job.make_folder(member)
            else:
                files.add(member)
        job.needs(job.guard.declared.spent)
        with job.track(job.guard.declared.spent) as advance:
            factory = _FileFactory(job, advance)
            try:
                members.extractall(job.folder, factory=factory)
            finally:
                factory.close()
        if factory.made != files:
            raise Damaged("members that it lists are not in it")


def unpack_tar_7z(job: Job) -> None:
    """Unpack the tar inside a 7z: one thread decompresses it into a pipe, from which this one reads."""
    with _opened(job) as members:
        infos = list(members.files)
        if len(infos) != 1 or infos[0].is_directory:
            raise Damaged("a .tar.7z holds one tar file, and this one does not")
        job.budget().spend(infos[0].uncompressed, infos[0].filename)
        job.needs(infos[0].uncompressed)
        with job.track(infos[0].uncompressed) as advance:
            _stream(members, job, advance)


@contextmanager
def _opened(job: Job) -> Iterator[Any]:
    """The 7z archive; an open file keeps py7zr from starting a thread for each solid block."""
    try:
        with job.archive.open("rb") as file, py7zr.SevenZipFile(file) as members:
            if not hasattr(members, "files"):
                raise Damaged("there is nothing in it")
            if members.needs_password():
                raise encrypted("it")
            yield members
    except PasswordRequired as error:
        raise encrypted("it") from error


def _stream(members: Any, job: Job, advance: Advance) -> None:
    read_end, write_end = os.pipe()
    faults: list[Exception] = []

    def decompress() -> None:
        try:
            with os.fdopen(write_end, "wb", BLOCK) as pipe:
                members.extractall(job.folder, factory=_PipeFactory(pipe))
        except Exception as error:
            if not (isinstance(error, OSError) and error.errno in _BROKEN):
                faults.append(error)

    writer = threading.Thread(target=decompress, daemon=True)
    writer.start()
    try:
        with os.fdopen(read_end, "rb", BLOCK) as pipe:
            unpack_tar_stream(job, pipe, advance)
    except Exception:
        writer.join()
        if not faults:
            raise
        raise faults[0] from None  # the tar ended early because decompressing it failed
    finally:
        writer.join()  # it ends, for the pipe is closed
    if faults:
        raise faults[0]


class _FileFactory(WriterFactory):
    """Hands py7zr a file for each member, after the guard let all of them in."""

    def __init__(self, job: Job, advance: Advance) -> None:
        self.job = job
        self.advance = advance
        self.made: set[PurePosixPath] = set()
        self.file: MemberFile | None = None

    def create(self, filename: str) -> Py7zIO:
        self.close()
        member = PurePosixPath(PurePath(filename).relative_to(self.job.folder).as_posix())
        self.made.add(member)
        self.file = self.job.create(member, self.advance)
        return _Writer(self.file)

    def close(self) -> None:
        """Close the file of the member that was written last; before 1.1, py7zr does not."""
        if self.file:
            self.file.close()


class _PipeFactory(WriterFactory):
    """Hands py7zr one pipe to write every member to."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe

    def create(self, filename: str) -> Py7zIO:
        return _Writer(self.pipe)


class _Writer(Py7zIO):
    """What py7zr writes a member to."""

    def __init__(self, file: MemberFile | IO[bytes]) -> None:
        self.file = file
        self.written = 0

    def write(self, data: bytes | bytearray) -> int:
        self.file.write(data)
        self.written += len(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self.written
