"""One archive on its way into one folder: what the formats have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from visionkit.progress import Advance, Progress, quantity
from visionkit.sources.archives.members import Budget, MemberGuard, Refused
from visionkit.sources.base import Limits

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK = 1 << 18


class Damaged(Exception):
    """An archive is not whole; fetching it again may help."""


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Job:
    """An archive and the folder that its members are written to.

    Args:
        archive: the file.
        folder: an empty folder.
        limits: how far to go.
        progress: hears how far it is.
    """

    def __init__(self, archive: Path, folder: Path, limits: Limits, progress: Progress) -> None:
        self.archive = archive
        self.folder = folder
        self.limits = limits
        self.progress = progress
        self.archive_bytes = archive.stat().st_size
        self.guard = MemberGuard(limits, self.archive_bytes)

    def budget(self) -> Budget:
        """A further count of bytes, with the same limits."""
        return Budget(self.limits, self.archive_bytes)

    def track(self, total: int) -> AbstractContextManager[Advance]:
        """Tell that unpacking begins, of `total` bytes read or written."""
        return self.progress.track(f"unpacking {self.archive.name}", total, "bytes")

    def needs(self, size: int) -> None:
        """Refuse an archive that unpacks to more bytes than are free on the folder's disk."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise Refused(
                f"it unpacks to {quantity(size, 'bytes')}, and {quantity(free, 'bytes')} are free there",
                "Make room, or name another folder as `data` in the [paths] section of settings.ini.",
            )

    def make_folder(self, member: PurePosixPath) -> None:
        """Make the folder that `member` names, with the modes of any new folder."""
        (self.folder / member).mkdir(parents=True, exist_ok=True)

    def create(self, member: PurePosixPath, advance: Advance) -> MemberFile:
        """The file for `member`, which the guard admitted; `advance` hears of the bytes written to it."""
        return MemberFile(self.folder / member, str(member), self.guard.written, advance)

    def copy(self, source: Readable, size: int, member: PurePosixPath, advance: Advance) -> None:
        """Write `source` to the file for `member`.

        Raises:
            Damaged: it has not `size` bytes.
        """
        with self.create(member, advance) as file:
            while block := source.read(BLOCK):
                file.write(block)
        if file.written != size:
            raise Damaged(f"its member {str(member)!r} has {file.written} bytes instead of {size}")


class MemberFile:
    """A file that is being written; every byte is counted.

    It has the modes of any new file: an archive can neither make a file executable nor a folder read-only.
    """

    def __init__(self, path: Path, member: str, budget: Budget, advance: Advance) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("xb")  # never through a link, and never over another member
        self.member = member
        self.budget = budget
        self.advance = advance
        self.written = 0

    def write(self, block: bytes | bytearray) -> None:
        self.budget.spend(len(block), self.member)
        self.file.write(block)
        self.written += len(block)
        self.advance(len(block))

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Counted:
    """A file that tells how many bytes are read from it."""

    def __init__(self, file: Readable, count: Callable[[int], None]) -> None:
        self.file = file
        self.count = count

    def read(self, size: int = BLOCK) -> bytes:
        block = self.file.read(size)
        self.count(len(block))
        return block
