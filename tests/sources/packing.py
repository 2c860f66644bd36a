"""Archives for tests, hostile ones among them, and a place to unpack them in."""

from __future__ import annotations

import io
import tarfile
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import py7zr
import pytest

from visionkit.errors import DataError
from visionkit.sources.archives import unpack

Members = dict[str, bytes]
Pairs = list[tuple[str, bytes]]
"""Members that may have the same name."""
UNIX = 0x8000
"""The bit that says that the upper half of a 7z member's attributes is a Unix mode."""


def pairs(members: Members | Pairs) -> Pairs:
    return list(members.items()) if isinstance(members, dict) else members


def tarred(members: Members | Pairs, mode: str = "", *special: tarfile.TarInfo) -> bytes:
    """A tar archive with `special` members, such as links, before the files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{mode}") as archive:
        for info in special:
            archive.addfile(info)
        for name, content in pairs(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(members: Members | Pairs, mode: int = 0) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are in it twice
        for name, content in pairs(members):
            info = zipfile.ZipInfo(name)
            info.filename = name  # which ZipInfo tidies
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return file.getvalue()


def sevenzipped(members: Members | Pairs, mode: int = 0) -> bytes:
    file = io.BytesIO()
    with (
        mock.patch("py7zr.py7zr.check_archive_path", return_value=True),
        py7zr.SevenZipFile(file, "w") as archive,
    ):
        for name, content in pairs(members):
            archive.writestr(content, name)
            if mode:
                archive.files.files_list[-1]["attributes"] = UNIX | mode << 16
    return file.getvalue()


def packed(ending: str, members: Members | Pairs) -> bytes:
    if ending == "zip":
        return zipped(members)
    if ending == "7z":
        return sevenzipped(members)
    if ending == "tar.7z":
        return sevenzipped({"data.tar": tarred(members)})
    return tarred(members, {"tar": "", "tgz": "gz"}.get(ending, ending.removeprefix("tar.")))


def contents(folder: Path) -> Members:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


class Place:
    """An archive in a folder of its own, deep enough to notice what climbs out of the target."""

    def __init__(self, root: Path, name: str, content: bytes) -> None:
        self.root = root
        self.target = root / "some" / "where" / "target"
        self.target.parent.mkdir(parents=True)
        self.archive = root / name
        self.archive.write_bytes(content)
        self.before = everything(root)

    def refuses(self, reason: str) -> None:
        """Unpacking raises a DataError with `reason`, and nothing is written or left."""
        with pytest.raises(DataError, match=reason) as caught:
            unpack(self.archive, self.target)
        assert str(self.archive) in str(caught.value)
        assert everything(self.root) == self.before

    def is_whole_or_refused(self, members: Members) -> bool:
        """Whether the archive could be unpacked: then exactly to `members`, otherwise to nothing at all."""
        try:
            unpack(self.archive, self.target)
        except DataError:
            assert everything(self.root) == self.before
            return False
        assert contents(self.target) == members
        inside = {f"some/where/target/{name}" for name in everything(self.target)}
        assert everything(self.root) == self.before | inside | {"some/where/target"}
        return True


def special(kind: bytes, name: str, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info
