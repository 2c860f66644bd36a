"""An archive is unpacked whole or not at all, and never out of its folder."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.errors import DataError
from visionkit.sources.archives import unpack

Members = dict[str, bytes]
ENDINGS = ["zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz", "7z", "tar.7z"]
DISTINCT = ["zip", "tar", "tgz", "7z", "tar.7z"]
FILES: Members = {
    "images/a.jpg": b"a" * 700,
    "images/b b.jpg": bytes(range(256)) * 9,
    "images/größe/道路.png": b"",
    "labels.csv": b"image_name,tags\n",
}
UNIX = 0x8000
"""The bit that says that the upper half of a 7z member's attributes is a Unix mode."""


def tarred(members: Members, mode: str = "", *special: tarfile.TarInfo) -> bytes:
    """A tar archive with `special` members, such as links, before the files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{mode}") as archive:
        for info in special:
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(members: Members, mode: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.filename = name  # which ZipInfo tidies
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return file.getvalue()


def sevenzipped(members: Members, mode: int = 0) -> bytes:
    file = io.BytesIO()
    with (
        mock.patch("py7zr.py7zr.check_archive_path", return_value=True),
        py7zr.SevenZipFile(file, "w") as archive,
    ):
        for name, content in members.items():
            archive.writestr(content, name)
            if mode:
                archive.files.files_list[-1]["attributes"] = UNIX | mode << 16
    return file.getvalue()


def packed(ending: str, members: Members) -> bytes:
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


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("upper", [False, True])
def test_every_format_is_unpacked(ending: str, upper: bool, tmp_path: Path) -> None:
    place = Place(tmp_path, f"data.{ending.upper() if upper else ending}", packed(ending, FILES))
    assert place.is_whole_or_refused(FILES)
    assert stat.S_IMODE(place.target.stat().st_mode) & 0o700 == 0o700
    assert place.archive.is_file()


def test_the_target_may_be_read_by_others_as_any_new_folder(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", zipped(FILES))
    unpack(place.archive, place.target)
    (tmp_path / "new").mkdir()
    assert place.target.stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize(
    ("members", "lift", "expected"),
    [
        ({"pets/a.jpg": b"a", "pets/b.jpg": b"b"}, Path.is_dir, {"a.jpg": b"a", "b.jpg": b"b"}),
        ({"pets/a.jpg": b"a", "__MACOSX/._a.jpg": b"x"}, Path.is_dir, {"a.jpg": b"a"}),
        ({"pets/a.jpg": b"a", "b.jpg": b"b"}, Path.is_dir, {"pets/a.jpg": b"a", "b.jpg": b"b"}),
        ({"a.jpg": b"a"}, Path.is_dir, {"a.jpg": b"a"}),
        ({"pets/a.jpg": b"a"}, lambda _: False, {"pets/a.jpg": b"a"}),
    ],
    ids=["folder", "folder of a Mac", "two members", "file", "not wanted"],
)
def test_the_only_member_is_lifted(
    members: Members, lift: Callable[[Path], bool], expected: Members, tmp_path: Path
) -> None:
    place = Place(tmp_path, "data.zip", zipped(members))
    unpack(place.archive, place.target, lift)
    assert contents(place.target) == expected
    assert [path.name for path in place.target.parent.iterdir()] == ["target"]


def test_a_lifted_file_becomes_the_target(tmp_path: Path) -> None:
    place = Place(tmp_path, "train.csv.zip", zipped({"train.csv": b"a,b\n"}))
    assert unpack(place.archive, place.target, lambda _: True).read_bytes() == b"a,b\n"


def test_a_target_that_is_there_is_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", zipped(FILES))
    place.target.mkdir()
    (place.target / "mine.txt").write_text("mine")
    place.before = everything(tmp_path)
    place.refuses("target")
    assert contents(place.target) == {"mine.txt": b"mine"}


def test_what_a_killed_process_left_does_no_harm(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", zipped(FILES))
    (place.target.parent / ".target-unpacked" / "images").mkdir(parents=True)
    assert contents(unpack(place.archive, place.target)) == FILES


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", b"")
    place.archive.unlink()
    place.before = everything(tmp_path)
    place.refuses("No such file")


ESCAPES = ["../x", "a/../../x", "images/../../../x", "..", "..\\x", "C:/x", "\\x", "ABSOLUTE"]


@pytest.mark.parametrize("ending", DISTINCT)
@pytest.mark.parametrize("name", ESCAPES)
def test_names_that_point_out_of_the_folder_are_refused(ending: str, name: str, tmp_path: Path) -> None:
    name = name.replace("ABSOLUTE", f"{tmp_path}/some/x")
    members = {"first.jpg": b"1", name: b"hostile", "last.jpg": b"2"}
    Place(tmp_path, f"data.{ending}", packed(ending, members)).refuses("points out of the folder")


def special(kind: bytes, name: str, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


SPECIAL = {
    "link up": [special(tarfile.SYMTYPE, "link", "../../secret")],
    "absolute link": [special(tarfile.SYMTYPE, "link", "/etc/passwd")],
    "link and a member behind it": [
        special(tarfile.SYMTYPE, "images", ".."),
        special(tarfile.REGTYPE, "images/x"),
    ],
    "links one over another": [
        special(tarfile.DIRTYPE, "a"),
        special(tarfile.SYMTYPE, "a/b", "."),
        special(tarfile.SYMTYPE, "c", "a/b/../../.."),
    ],
    "hard link up": [special(tarfile.LNKTYPE, "link", "../../secret")],
    "absolute hard link": [special(tarfile.LNKTYPE, "link", "/etc/passwd")],
    "character device": [special(tarfile.CHRTYPE, "null")],
    "block device": [special(tarfile.BLKTYPE, "disk")],
    "pipe": [special(tarfile.FIFOTYPE, "pipe")],
}


@pytest.mark.parametrize("ending", ["tar", "tgz", "tar.7z"])
@pytest.mark.parametrize("hostile", SPECIAL.values(), ids=SPECIAL)
def test_special_members_of_a_tar_are_refused(
    ending: str, hostile: list[tarfile.TarInfo], tmp_path: Path
) -> None:
    content = tarred(FILES, "gz" if ending == "tgz" else "", *hostile)
    content = sevenzipped({"data.tar": content}) if ending == "tar.7z" else content
    Place(tmp_path, f"data.{ending}", content).refuses("out of the folder|special file")


@pytest.mark.parametrize("ending", ["zip", "7z"])
@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK], ids=oct
)
def test_special_members_of_zip_and_7z_are_refused(ending: str, kind: int, tmp_path: Path) -> None:
    content = (zipped if ending == "zip" else sevenzipped)({"odd": b"../../secret"}, kind | 0o777)
    Place(tmp_path, f"data.{ending}", content).refuses("'odd' is neither a file nor a folder")


def test_links_inside_a_tar_are_kept(tmp_path: Path) -> None:
    links = [special(tarfile.SYMTYPE, "images/same.jpg", "a.jpg"), special(tarfile.SYMTYPE, "all", "images")]
    place = Place(tmp_path, "data.tar", tarred(FILES, "", *links))
    unpack(place.archive, place.target)
    assert (place.target / "images" / "same.jpg").read_bytes() == FILES["images/a.jpg"]
    assert (place.target / "all" / "a.jpg").read_bytes() == FILES["images/a.jpg"]


NOISE = random.Random(0).randbytes(300_000)
"""More than a pipe holds: who writes to it has to wait for the reader."""


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_long_tar_in_a_7z_ends_at_its_hostile_member(where: str, tmp_path: Path) -> None:
    members = {"noise.bin": NOISE, "../x": b""} if where == "last" else {"../x": b"", "noise.bin": NOISE}
    Place(tmp_path, "data.tar.7z", packed("tar.7z", members)).refuses("'../x' points out")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.tar": tarred(FILES), "b.tar": tarred(FILES)}, "holds one tar file"),
        ({}, "holds one tar file"),
        ({"a.tar": b"no tar at all" * 100}, "Delete the file"),
        ({"a.tar": NOISE}, "Delete the file"),
        ({"a.tar": b""}, "Delete the file"),
    ],
    ids=["two tars", "nothing", "a text", "noise", "an empty file"],
)
def test_a_7z_without_one_tar_is_refused(members: Members, reason: str, tmp_path: Path) -> None:
    Place(tmp_path, "data.tar.7z", sevenzipped(members)).refuses(reason)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"\0" * 2000, NOISE[:3000]], ids=len)
def test_what_is_no_archive_is_refused(ending: str, content: bytes, tmp_path: Path) -> None:
    Place(tmp_path, f"data.{ending}", content).refuses("Delete the file and fetch it again")


@pytest.mark.parametrize("ending", ENDINGS)
def test_archives_cut_off_anywhere_are_whole_or_refused(ending: str, tmp_path: Path) -> None:
    content = packed(ending, FILES | {"noise.bin": NOISE[:2000]})
    step = 512 if ending == "tar" else max(1, len(content) // 15)  # a tar can be cut between two members
    cuts = [*range(step, len(content), step), len(content) - 1, len(content) - 10]
    whole = 0
    for number, cut in enumerate(cuts):
        place = Place(tmp_path / str(number), f"data.{ending}", content[:cut])
        whole += place.is_whole_or_refused(FILES | {"noise.bin": NOISE[:2000]})
    assert whole < len(cuts)


@pytest.mark.parametrize("ending", ["zip", "tgz", "7z", "tar.7z"])
def test_damage_that_a_checksum_can_see_is_refused(ending: str, tmp_path: Path) -> None:
    members = FILES | {"noise.bin": NOISE[:2000]}
    content = packed(ending, members)
    for number in range(30):
        damaged = bytearray(content)
        damaged[number * len(content) // 30] ^= 0x55
        Place(tmp_path / str(number), f"data.{ending}", bytes(damaged)).is_whole_or_refused(members)


def test_damage_in_the_middle_of_the_data_is_refused(tmp_path: Path) -> None:
    for ending in ("zip", "tgz", "7z", "tar.7z"):
        content = bytearray(packed(ending, {"noise.bin": NOISE}))
        content[len(content) // 2] ^= 0xFF
        Place(tmp_path / ending, f"data.{ending}", bytes(content)).refuses("Delete the file")


def test_a_bad_header_inside_a_tar_is_not_its_end(tmp_path: Path) -> None:
    content = bytearray(tarred({"a": b"1" * 512, "b": b"2" * 512, "c": b"3" * 512}))
    Place(tmp_path / "1", "data.tar", bytes(content[:1024])).refuses("cut off")
    Place(tmp_path / "2", "data.tar", bytes(content[:1200])).refuses("cut off")
    content[1024 + 5] ^= 0xFF  # the header of b
    Place(tmp_path / "3", "data.tar", bytes(content)).refuses("damaged")


def test_zips_that_python_cannot_read_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.jpg": b"a" * 100}))
    central = content.index(b"PK\x01\x02")
    encrypted, unknown = content.copy(), content.copy()
    encrypted[6], encrypted[central + 8] = 1, 1
    unknown[8], unknown[central + 10] = 99, 99
    Place(tmp_path / "1", "data.zip", bytes(encrypted)).refuses("encrypted")
    Place(tmp_path / "2", "data.zip", bytes(unknown)).refuses("compression")


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:\0", exclude_categories=("Cs", "Cc")),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip(". ") == name)


@pytest.mark.parametrize("ending", ["zip", "tgz", "7z", "tar.7z"])
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True), folder=NAMES)
@settings(max_examples=25, deadline=None)
def test_any_names_round_trip(ending: str, names: list[str], folder: str) -> None:
    members = {f"{folder}/{name}": name.encode() for name in names}
    with tempfile.TemporaryDirectory() as root:
        assert Place(Path(root), f"data.{ending}", packed(ending, members)).is_whole_or_refused(members)


@pytest.mark.parametrize("ending", ["zip", "tar", "7z"])
@given(name=st.text(st.sampled_from("./\\:aC \0~-"), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_no_name_leads_out_of_the_folder(ending: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            content = packed(ending, {name: b"x", "b.jpg": b"y"})
        except Exception:  # a name that the packer does not take
            return
        place = Place(Path(root), f"data.{ending}", content)
        try:
            unpack(place.archive, place.target)
        except DataError:
            assert everything(place.root) == place.before
        else:
            inside = {f"some/where/target/{path}" for path in everything(place.target)}
            assert everything(place.root) == place.before | inside | {"some/where/target"}
