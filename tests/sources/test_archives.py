"""An archive is unpacked whole or not at all, and never out of its folder."""

from __future__ import annotations

import errno
import io
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import py7zr
import pytest
from sources.packing import Members, Place, contents, everything, packed, sevenzipped, special, tarred, zipped

from visionkit.errors import DataError
from visionkit.progress import Advance, Unit
from visionkit.sources.archives import ARCHIVE_ENDINGS, archive_kind, job, members, unpack
from visionkit.sources.base import Limits

ENDINGS = ["zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz", "7z", "tar.7z"]
DISTINCT = ["zip", "tar", "tgz", "7z", "tar.7z"]
FILES: Members = {
    "images/a.jpg": b"a" * 700,
    "images/b b.jpg": bytes(range(256)) * 9,
    "images/größe/道路.png": b"",
    "labels.csv": b"image_name,tags\n",
}


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
    unpack(place.archive, place.target, lift=lift)
    assert contents(place.target) == expected
    assert [path.name for path in place.target.parent.iterdir()] == ["target"]


def test_a_lifted_file_becomes_the_target(tmp_path: Path) -> None:
    place = Place(tmp_path, "train.csv.zip", zipped({"train.csv": b"a,b\n"}))
    assert unpack(place.archive, place.target, lift=lambda _: True).read_bytes() == b"a,b\n"


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
    Place(tmp_path, f"data.{ending}", content).refuses(
        "out of the folder|neither a file nor a folder|folder that holds it"
    )


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


CLASHES = {
    "case": (["a.jpg", "A.jpg"], "'A.jpg' and 'a.jpg' are one where case is ignored"),
    "folders": (["train/a.jpg", "Train/b.jpg"], "'Train' and 'train' are one"),
    "sharp s": (["straße", "STRASSE"], "are one where case is ignored"),
    "composed": (["é", "e\u0301"], "are one where case is ignored"),
    "dot at the end": (["a", "a."], "'a.' and 'a' are one"),
    "twice": (["a.jpg", "b.jpg", "a.jpg"], "'a.jpg' is in it twice"),
    "twice, written otherwise": (["images/a.jpg", "images/./a.jpg"], "is in it twice"),
    "file, then folder": (["images", "images/a.jpg"], "'images' is a file and a folder"),
    "folder, then file": (["images/a.jpg", "images"], "'images' is a folder and a file"),
    "control character": (["a.jpg", "b\x1b[2Jc.jpg"], r"'b\\x1b\[2Jc.jpg' has a control character"),
    "new line": (["a.jpg", "b\nc.jpg"], "has a control character"),
    "long": (["x" * 300], "x…x.* has too long a name"),
    "deep": (["x/" * 150 + "a"], "has too long a name"),
}


@pytest.mark.parametrize("ending", DISTINCT)
@pytest.mark.parametrize(("names", "reason"), CLASHES.values(), ids=CLASHES)
def test_names_that_are_not_the_same_everywhere_are_refused(
    ending: str, names: list[str], reason: str, tmp_path: Path
) -> None:
    content = packed(ending, [(name, b"x") for name in names])
    Place(tmp_path, f"data.{ending}", content).refuses(f"its members? .*{reason}")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Place(tmp_path, "data.tar", tarred({"gr\udcf6sse.jpg": b"x"})).refuses("a name that is not UTF-8")


@pytest.mark.parametrize("ending", ["zip", "tar", "tgz", "tar.7z"])  # py7zr takes it for a slash
def test_a_backslash_in_a_name_is_refused(ending: str, tmp_path: Path) -> None:
    content = packed(ending, {"images\\a.jpg": b"x"})
    Place(tmp_path, f"data.{ending}", content).refuses("has a backslash in its name")


def test_a_null_byte_in_the_name_of_a_zips_member_is_refused(tmp_path: Path) -> None:
    Place(tmp_path, "data.zip", zipped({"a.jpg\0.exe": b"x"})).refuses("has a control character")


def test_a_folder_may_be_listed_more_than_once(tmp_path: Path) -> None:
    listed = [special(tarfile.DIRTYPE, name) for name in ("./", "images", "./images/", "empty")]
    place = Place(tmp_path, "data.tar", tarred(FILES, "", *listed))
    assert contents(unpack(place.archive, place.target)) == FILES
    assert (place.target / "empty").is_dir()


def test_members_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 10)
    many = {f"{number:02}": b"" for number in range(11)}
    Place(tmp_path, "data.tar", tarred(many)).refuses("its member '10' is one of more than 10")


def test_hard_links_inside_a_tar_are_kept(tmp_path: Path) -> None:
    file = io.BytesIO(tarred(FILES))
    with tarfile.open(fileobj=file, mode="a") as archive:
        archive.addfile(special(tarfile.LNKTYPE, "copies/a.jpg", "images/a.jpg"))
    place = Place(tmp_path, "data.tar", file.getvalue())
    assert contents(unpack(place.archive, place.target)) == FILES | {"copies/a.jpg": FILES["images/a.jpg"]}


def test_a_hard_link_to_what_is_not_there_is_refused(tmp_path: Path) -> None:
    link = special(tarfile.LNKTYPE, "link", "images/a.jpg")  # which only comes later
    Place(tmp_path, "data.tar", tarred(FILES, "", link)).refuses("'images/a.jpg', which is no file before it")


def test_a_link_is_never_lifted(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.tar", tarred({}, "", special(tarfile.SYMTYPE, "data", "target")))
    unpack(place.archive, place.target, lift=lambda _: True)
    assert place.target.is_dir() and not place.target.is_symlink()


def test_modes_are_those_of_new_files(tmp_path: Path) -> None:
    readonly, program = special(tarfile.DIRTYPE, "images"), special(tarfile.REGTYPE, "program")
    readonly.mode, program.mode = 0o555, 0o4755
    place = Place(tmp_path, "data.tar", tarred(FILES, "", readonly, program))
    unpack(place.archive, place.target)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert (place.target / "images").stat().st_mode == (tmp_path / "folder").stat().st_mode
    assert (place.target / "program").stat().st_mode == (tmp_path / "file").stat().st_mode


LARGE: Members = {"first.bin": b"1" * 1000, "large.bin": b"2" * 300_000, "last.bin": b"3" * 1000}


@pytest.fixture
def small_archives_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the ratio of small archives too."""
    monkeypatch.setattr(members, "FREE_OF_RATIO", 20_000)


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != "tar"])
@pytest.mark.usefixtures("small_archives_count")
def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(ending: str, tmp_path: Path) -> None:
    place = Place(tmp_path, f"data.{ending}", packed(ending, LARGE))
    member = "data.tar" if ending == "tar.7z" else "large.bin"
    with pytest.raises(
        DataError, match=f"'{member}' it unpacks to more than 7 times its own size.*max_ratio"
    ):
        unpack(place.archive, place.target, limits=Limits(ratio=7))
    assert everything(place.root) == place.before
    assert contents(unpack(place.archive, place.target, limits=Limits(ratio=10_000))) == LARGE


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(ending: str, tmp_path: Path) -> None:
    place = Place(tmp_path, f"data.{ending}", packed(ending, LARGE))
    with pytest.raises(DataError, match=r"more than 100.0 kB, the limit.*raise max_gb in the \[archives\]"):
        unpack(place.archive, place.target, limits=Limits(size=100_000))
    assert everything(place.root) == place.before
    assert contents(unpack(place.archive, place.target, limits=Limits(size=400_000))) == LARGE


def test_small_archives_may_be_compressed_to_nothing(tmp_path: Path) -> None:
    members = {"mask.png": b"0" * 3_000_000}
    place = Place(tmp_path, "data.zip", zipped(members))
    assert 3_000_000 / place.archive.stat().st_size > Limits().ratio
    assert contents(unpack(place.archive, place.target)) == members


@pytest.mark.usefixtures("small_archives_count")
def test_zeros_behind_the_end_of_a_tar_are_counted(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.tar.gz", packed("tar.gz", FILES))
    content = tarred(FILES) + bytes(5_000_000)
    place.archive.write_bytes(zlib.compress(content, wbits=31))
    place.refuses("more than 200 times its own size")


def overlapping(copies: int, size: int) -> bytes:
    """A zip whose members share one stretch of compressed zeros; each quotes the headers behind it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = bytes(size)
    stream = packer.compress(content) + packer.flush()
    parts, checksum, length = [], zlib.crc32(content), size
    for number in reversed(range(copies)):
        name = f"{number:04}".encode()
        fields = (20, 0, 8, 0, 0x21, checksum, len(stream), length, len(name), 0)
        header = struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + name
        parts.append((fields, name))
        content, length = header + content, length + len(header)
        checksum = zlib.crc32(content)
        quote = b"\0" + struct.pack("<2H", len(header), len(header) ^ 0xFFFF)
        stream, whole = quote + header + stream, header + stream
    body, directory, offset = whole, b"", 0
    for fields, name in reversed(parts):
        offset = body.index(b"PK\3\4", offset)
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fields, 0, 0, 0, 0, offset) + name
        offset += 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, copies, copies, len(directory), len(body), 0)
    return body + directory + end


@pytest.mark.usefixtures("small_archives_count")
def test_a_zip_of_overlapping_members_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", overlapping(50, 100_000))
    with zipfile.ZipFile(place.archive) as members:
        assert sum(info.file_size for info in members.infolist()) > 5_000_000
    place.refuses("more than 200 times its own size|[Oo]verlap")


def test_a_header_that_claims_much_is_not_believed(tmp_path: Path) -> None:
    for number, kind in enumerate((tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)):
        header = special(kind, "a.jpg")
        header.size = 1 << 32
        content = header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)
        Place(tmp_path / str(number), "data.tar", content).refuses("'a.jpg' says that it has 4,294,967,296")


def test_a_size_in_a_zip_that_is_not_true_is_refused(tmp_path: Path) -> None:
    content = zipped({"a.jpg": b"a" * 5000})
    for number, size in enumerate((10, 50_000)):
        lie = content.replace(struct.pack("<L", 5000), struct.pack("<L", size))
        Place(tmp_path / str(number), "data.zip", lie).refuses("Delete the file")


@pytest.mark.parametrize("ending", ["zip", "7z", "tar.7z"])
def test_the_room_that_is_needed_is_looked_for_first(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))(10**9, 10**9 - 2000, 2000)
    monkeypatch.setattr(job.shutil, "disk_usage", lambda folder: usage)
    content = packed(ending, {"noise.bin": NOISE})
    Place(tmp_path, f"data.{ending}", content).refuses("unpacks to 3.* kB, and 2.0 kB are free .*Make room")


@pytest.mark.parametrize("ending", DISTINCT)
def test_a_disk_that_gets_full_is_one_message(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: job.MemberFile, block: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(job.MemberFile, "write", full)
    Place(tmp_path, f"data.{ending}", packed(ending, FILES)).refuses(r"the disk is full\). Make room")


@pytest.mark.parametrize("ending", ["7z", "tar.7z"])
@pytest.mark.parametrize("names", [False, True], ids=["contents", "names too"])
def test_an_encrypted_7z_is_refused(ending: str, names: bool, tmp_path: Path) -> None:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", password="secret", header_encryption=names) as archive:
        archive.writestr(tarred(FILES), "data.tar")
    Place(tmp_path, f"data.{ending}", file.getvalue()).refuses("it is encrypted.*with its password")


def test_a_7z_of_several_blocks_is_unpacked(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.7z", sevenzipped(FILES))
    with py7zr.SevenZipFile(place.archive, "a") as archive:
        archive.writestr(NOISE, "more/noise.bin")
        archive.writestr(b"", "more/empty")
    assert place.is_whole_or_refused(FILES | {"more/noise.bin": NOISE, "more/empty": b""})


def test_a_zip64_is_unpacked(tmp_path: Path) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w") as archive,
        archive.open("images/a.jpg", "w", force_zip64=True) as member,
    ):
        member.write(b"a" * 5000)
    assert Place(tmp_path, "data.zip", file.getvalue()).is_whole_or_refused({"images/a.jpg": b"a" * 5000})


def test_a_zip_with_folders_and_a_comment_is_unpacked(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = b"made by hand"
        archive.writestr("images/", b"")
        archive.writestr("images/a.jpg", b"a")
    assert Place(tmp_path, "data.zip", file.getvalue()).is_whole_or_refused({"images/a.jpg": b"a"})


def test_a_zip_in_a_zip_is_not_taken_for_all_of_it(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"a")
        archive.writestr("inner.zip", zipped({"inner.jpg": b"i"}))
    content = file.getvalue()
    cut = content[: content.index(b"PK\5\6") + 22]
    assert zipfile.ZipFile(io.BytesIO(cut)).namelist() == ["inner.jpg"]
    Place(tmp_path, "data.zip", cut).refuses("does not begin with its first member")


def test_two_tars_one_behind_the_other_are_refused(tmp_path: Path) -> None:
    Place(tmp_path, "data.tar", tarred({"a": b"1"}) + tarred({"b": b"2"})).refuses("more behind its end")


KINDS = {
    "data.zip": "zip", "DATA.ZIP": "zip", "data.tar": "tar", "data.tgz": "tar", "data.tar.gz": "tar",
    "data.tar.bz2": "tar", "data.tbz2": "tar", "data.tar.xz": "tar", "data.txz": "tar", "data.7z": "7z",
    "train-jpg.tar.7z": "tar.7z", "labels.csv": None, "labels.csv.gz": None, "data.rar": None,
    "data.tar.zst": None, "zip": None,
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_name_tells_the_kind(name: str, kind: str | None) -> None:
    assert archive_kind(Path("/nowhere") / name) == kind
    assert name.lower().endswith(ARCHIVE_ENDINGS) == (kind is not None)


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != "tar.7z"])
def test_the_content_tells_the_kind_where_the_name_does_not(ending: str, tmp_path: Path) -> None:
    place = Place(tmp_path, "download", packed(ending, FILES))
    assert archive_kind(place.archive) == {"zip": "zip", "7z": "7z"}.get(ending, "tar")
    assert place.is_whole_or_refused(FILES)


@pytest.mark.parametrize("content", [b"", b"a,b\n", zlib.compress(b"a,b\n" * 500, wbits=31), NOISE])
def test_what_neither_name_nor_content_knows_is_refused(content: bytes, tmp_path: Path) -> None:
    place = Place(tmp_path, "labels.csv.gz", content)
    assert archive_kind(place.archive) is None
    place.refuses("none of .*.zip, .7z.*Unpack it yourself")


class Heard:
    """Keeps what it is told; stops the work like Ctrl-C does once `stop_at` units are done."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.stop_at = stop_at
        self.labels: list[str] = []
        self.totals: list[int | None] = []
        self.counts: list[int] = []
        self.threads: set[int] = set()

    def note(self, text: str) -> None:
        raise AssertionError(text)

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        self.labels.append(label)
        self.totals.append(total)
        assert unit == "bytes"

        def advance(count: int) -> None:
            self.counts.append(count)
            self.threads.add(threading.get_ident())
            if sum(self.counts) >= self.stop_at:
                raise KeyboardInterrupt

        yield advance


BIG = {f"{number}.bin": random.Random(number).randbytes(400_000) for number in range(4)}


@pytest.mark.parametrize("ending", ENDINGS)
def test_progress_is_told_while_it_unpacks(ending: str, tmp_path: Path) -> None:
    place = Place(tmp_path, f"data.{ending}", packed(ending, BIG))
    heard = Heard()
    unpack(place.archive, place.target, progress=heard)
    assert heard.labels == [f"unpacking data.{ending}"]
    assert [sum(heard.counts)] == heard.totals
    assert len([count for count in heard.counts if count]) >= 4
    assert heard.threads == {threading.get_ident()}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_interrupted_unpacking_leaves_nothing(ending: str, tmp_path: Path) -> None:
    place = Place(tmp_path, f"data.{ending}", packed(ending, BIG))
    with pytest.raises(KeyboardInterrupt):
        unpack(place.archive, place.target, progress=Heard(stop_at=500_000))
    assert everything(place.root) == place.before
    assert contents(unpack(place.archive, place.target)) == BIG


def test_what_a_killed_call_left_is_removed_by_the_next(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", zipped(BIG))
    script = (
        "import sys, time; from pathlib import Path\n"
        "from visionkit.sources import archives; from visionkit.sources.archives import job\n"
        "job.MemberFile.close = lambda file: time.sleep(600)\n"
        "archives.unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(place.archive), str(place.target)])
    try:
        while not list(place.target.parent.glob(".target-*/whole/*.bin")):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    others = [
        place.target.parent / name for name in (".target.lock", ".target-2-unpacking-abcdefgh", ".other")
    ]
    for other in others:
        other.mkdir()
    assert not place.target.exists()
    assert contents(unpack(place.archive, place.target)) == BIG
    assert {*place.target.parent.iterdir()} == {place.target, *others}


def test_an_empty_folder_as_target_is_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, "data.zip", zipped(FILES))
    place.target.mkdir()
    place.before = everything(tmp_path)
    place.refuses("there already")
