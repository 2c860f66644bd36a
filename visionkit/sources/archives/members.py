"""What is asked of every member of an archive before it is written: its name, its kind and its size."""

from __future__ import annotations

import re
import stat
import unicodedata
from pathlib import PurePosixPath
from typing import Literal

from visionkit.progress import quantity
from visionkit.sources.base import Limits

Kind = Literal["file", "folder", "link"]

FREE_OF_RATIO = 100 * 10**6
"""Up to so many bytes the ratio is not looked at: small archives of masks compress enormously."""
MAX_MEMBERS = 5_000_000
"""Millions of empty files fit into a small archive, and would use up the file entries of a disk."""
MAX_NAME_BYTES = 1000
MAX_PART_BYTES = 255
MAX_DEPTH = 100

SUSPECT = "If you trust it all the same, unpack it yourself and name the folder with --data."


class Refused(Exception):
    """An archive is not unpacked, though it may be whole.

    Args:
        reason: a part of a sentence, such as "its member 'x' is neither a file nor a folder".
        advice: a sentence that says what to do.
    """

    def __init__(self, reason: str, advice: str = SUSPECT) -> None:
        super().__init__(reason)
        self.advice = advice


class Budget:
    """Counts bytes that come out of an archive, and refuses it as a bomb where there are too many.

    Args:
        limits: how many may come.
        archive_bytes: the archive's own size, for the ratio.
    """

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self.limits = limits
        self.most = max(FREE_OF_RATIO, limits.ratio * archive_bytes)
        self.spent = 0

    def spend(self, count: int, member: str) -> None:
        """Count bytes that came out.

        Raises:
            Refused: there are too many now; the message names `member`.
        """
        self.spent += count
        if self.spent <= min(self.limits.size, self.most):
            return
        if self.spent > self.limits.size:
            past, key = f"{quantity(self.limits.size, 'bytes')}, the limit", "max_gb"
        else:
            past, key = f"{self.limits.ratio:g} times its own size", "max_ratio"
        raise Refused(
            f"with its member {shown(member)} it unpacks to more than {past}",
            f"If you trust it, raise {key} in the [archives] section of settings.ini.",
        )


class MemberGuard:
    """Lets members in one by one, and refuses an archive for the first that must not be written.

    Refused are names that lead out of the folder, that hold control characters or a backslash, that are not
    UTF-8, or that are too long for common disks; members that are in the archive twice; and members that
    become one on a disk that ignores case, as macOS and Windows do, or the composition of letters. What is
    written twice is refused even where the names are the same, because programs differ in which of the two
    they keep.

    Args:
        limits: for the sizes that the archive declares (`declared`) and those that are written (`written`):
            headers may lie.
        archive_bytes: the archive's own size.
    """

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self.declared = Budget(limits, archive_bytes)
        self.written = Budget(limits, archive_bytes)
        self.seen: dict[str, tuple[str, Kind]] = {}
        self.count = 0

    def admit(self, name: str, kind: Kind) -> PurePosixPath:
        """Where in the folder the member `name` belongs; "." is the folder itself.

        Raises:
            Refused: it must not be written; the message names it.
        """
        parts = _parts(name, f"its member {shown(name)}")
        if not parts and kind != "folder":
            raise Refused(f"its member {shown(name)} has no name")
        key = ""
        for depth, part in enumerate(parts, 1):
            key += f"/{_folded(part)}"
            path = "/".join(parts[:depth])
            wanted = kind if depth == len(parts) else "folder"
            known, known_kind = self.seen.setdefault(key, (path, wanted))
            if known != path:
                raise Refused(f"its members {shown(path)} and {shown(known)} are one where case is ignored")
            if known_kind != wanted:
                raise Refused(f"its member {shown(path)} is a {known_kind} and a {wanted} at the same time")
        if kind != "folder" and len(self.seen) == self.count:
            raise Refused(f"its member {shown(name)} is in it twice")
        self.count = len(self.seen)
        if self.count > MAX_MEMBERS:
            raise Refused(f"its member {shown(name)} is one of more than {MAX_MEMBERS:,}")
        return PurePosixPath(*parts)

    def admit_link(self, name: str, aim: str) -> PurePosixPath:
        """As `admit`, for a symbolic link to `aim`, which must not lead upwards."""
        if not _parts(aim, f"its member {shown(name)}, a link to {shown(aim)},"):
            raise Refused(f"its member {shown(name)} is a link to a folder that holds it")
        return self.admit(name, "link")

    def file_before(self, name: str, aim: str) -> PurePosixPath:
        """Where the file `aim`, a member before, was written: what the hard link `name` is another name of.

        Raises:
            Refused: there is no such file.
        """
        parts = _parts(aim, f"its member {shown(name)}, a link to {shown(aim)},")
        if self.seen.get("".join(f"/{_folded(part)}" for part in parts)) != ("/".join(parts), "file"):
            raise Refused(f"its member {shown(name)} is a link to {shown(aim)}, which is no file before it")
        return PurePosixPath(*parts)


def refuse_special(name: str, mode: int) -> None:
    """Refuse a member whose Unix mode says that it is a link, a device or the like; 0 says nothing."""
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"its member {shown(name)} is neither a file nor a folder")


def encrypted(what: str) -> Refused:
    """For `what` ("it", or a member) that cannot be read without a password."""
    return Refused(
        f"{what} is encrypted", "Unpack it yourself with its password and name the folder with --data."
    )


def shown(name: str) -> str:
    """A member's name for a message: quoted, control characters escaped, and shortened."""
    return repr(name if len(name) <= 150 else f"{name[:70]}…{name[-70:]}")


def _parts(name: str, who: str) -> list[str]:
    """The folders and the name that `name` consists of, after looking at each; `who` begins a message."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match("[A-Za-z]:", name):
        raise Refused(f"{who} points out of the folder")
    if "\\" in name:
        raise Refused(f"{who} has a backslash in its name")
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in name):
        raise Refused(f"{who} has a control character in its name")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise Refused(f"{who} has a name that is not UTF-8") from None
    if max(sizes) > MAX_PART_BYTES or sum(sizes) > MAX_NAME_BYTES or len(parts) > MAX_DEPTH:
        raise Refused(f"{who} has too long a name")
    return [part for part in parts if part not in ("", ".")]


def _folded(part: str) -> str:
    """Equal for names that a disk may take for the same; Windows ignores dots and spaces at the end."""
    if not part.isascii():
        part = unicodedata.normalize("NFD", unicodedata.normalize("NFD", part).casefold())
    return part.lower().rstrip(". ") or part
