"""Tar archives, compressed or not, read as a stream from the first byte to the last."""

from __future__ import annotations

import os
import tarfile
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from visionkit.progress import Advance
from visionkit.sources.archives.job import BLOCK, Counted, Damaged, Job, Readable
from visionkit.sources.archives.kinds import decompressed
from visionkit.sources.archives.members import Refused, shown

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_HEADER = 1 << 20
"""A header with a long name or link is read into memory; real ones have some hundred bytes."""
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def unpack_tar(job: Job) -> None:
    """Unpack a tar archive; the first bytes tell how it is compressed."""
    with job.archive.open("rb") as file, job.track(job.archive_bytes) as advance:
        start = file.read(8)
        file.seek(0)
        unpack_tar_stream(job, decompressed(Counted(file, advance), start))


def unpack_tar_stream(job: Job, stream: Readable, advance: Advance = lambda count: None) -> None:
    """Unpack the tar that can be read from `stream`, and read that to its end, where its checksum may be.

    Args:
        job: where to.
        stream: not compressed any more.
        advance: hears of the bytes read from it.
    """
    budget, member = job.budget(), PurePosixPath(".")

    def count(size: int) -> None:
        budget.spend(size, str(member))  # headers and padding can be a bomb as well
        advance(size)

    file = cast(IO[bytes], Counted(stream, count))
    with tarfile.open(fileobj=file, mode="r|", tarinfo=_Member) as tar:
        while (info := tar.next()) is not None:
            member = _unpack_member(job, tar, info)
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile would remember millions
        while tar.fileobj and (rest := tar.fileobj.read(BLOCK)):
            if rest.strip(b"\0"):
                raise Damaged("there is more behind its end")


def _unpack_member(job: Job, tar: tarfile.TarFile, info: tarfile.TarInfo) -> PurePosixPath:
    guard = job.guard
    if info.isdir():
        member = guard.admit(info.name, "folder")
        job.make_folder(member)
    elif info.issym():
        member = guard.admit_link(info.name, info.linkname)
        path = job.folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(info.linkname)
    elif info.islnk():
        aim = guard.file_before(info.name, info.linkname)
        member = guard.admit(info.name, "file")
        path = job.folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(job.folder / aim, path)
    elif info.isreg():
        member = guard.admit(info.name, "file")
        guard.declared.spend(info.size, info.name)
        content = tar.extractfile(info)
        assert content is not None  # as of any regular file
        job.copy(content, info.size, member, lambda count: None)
    else:
        raise Refused(f"its member {shown(info.name)} is neither a file nor a folder")
    return member


class _Member(tarfile.TarInfo):
    """Refuses a missing or damaged header, which tarfile takes for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the block of zeros that ends an archive
        except tarfile.HeaderError as error:
            if not tarfile_.offset:
                raise Damaged("not a tar archive, or damaged from the start") from error
            raise Damaged(f"cut off or damaged: {error}") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _HEADERS and info.size > MAX_HEADER):
            raise Damaged(f"the header of its member {shown(info.name)} says that it has {info.size:,} bytes")
        return info
