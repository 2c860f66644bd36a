"""Archives from anywhere, changed in every way: unpacked as they say, or refused; never a file elsewhere."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from random import Random

import pytest
from conftest import Cli
from hostile.hammering import assert_ended_well, hammer, many
from hostile.mutating import NASTY_TEXTS, mutated_bytes
from hostile.raw_server import page, raw_server
from sources.packing import packed, tarred

from visionkit.sources.archives import unpack
from visionkit.sources.base import Limits

ENDINGS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "7z", "tar.7z")
MEMBERS = {"images/a.jpg": b"a" * 300, "images/b.jpg": bytes(range(256)), "labels.csv": b"image,label\na,b\n"}
NAMES = [
    "../x",
    "/x",
    "a/../../x",
    "C:/x",
    "\\\\host\\x",
    "a\\..\\..\\x",
    "./",
    "..",
    "a/./b",
    "x" * 300,
    "CON",
    "a:b",
    "a ",
    "images",
    "IMAGES/A.JPG",
    "images/a.jpg/b",
    "\u202egpj.exe",
    "a\n",
    "\x1b[2J",
    "e\u0301",
    "\u00e9",
    *NASTY_TEXTS[:24],
]
LIMITS = Limits(size=5_000_000, ratio=100)


def attempt(content: bytes, name: str, place: Path) -> None:
    """Unpack in an empty folder; nothing may appear beside the target, also where it is refused."""
    archive, target = place / "in" / name, place / "out" / "target"
    for folder in (archive.parent, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    try:
        unpack(archive, target, limits=LIMITS)
    finally:
        assert {each.name for each in place.iterdir()} == {"in", "out"}
        assert {each.name for each in target.parent.iterdir()} <= {"target"}
        assert {each.name for each in archive.parent.iterdir()} == {name}
        archive.unlink()
        size = 0
        for path in target.rglob("*"):
            about = path.lstat()
            assert path.resolve().is_relative_to(target.resolve()), path
            assert path.is_symlink() or path.is_dir() or path.is_file(), path  # no devices, no pipes
            assert not about.st_mode & 0o6000, path
            size += about.st_size if path.is_file() and not path.is_symlink() else 0
        assert size <= LIMITS.size
        remove(target)


def remove(target: Path) -> None:
    import shutil

    shutil.rmtree(target, ignore_errors=True)
    target.unlink(missing_ok=True)


@many(40, 500)
@pytest.mark.filterwarnings("ignore")
def test_archives_with_changes(count: int, tmp_path: Path) -> None:
    good = {ending: packed(ending, MEMBERS) for ending in ENDINGS}

    def case(random: Random) -> None:
        ending = random.choice(ENDINGS)
        told = ending if random.random() < 0.9 else random.choice(ENDINGS)
        attempt(mutated_bytes(good[ending], random, most=3), f"a.{told}", tmp_path)

    hammer("archives", count, case)


@many(30, 400)
@pytest.mark.filterwarnings("ignore")
def test_members_with_hostile_names(count: int, tmp_path: Path) -> None:
    def case(random: Random) -> None:
        ending = random.choice(ENDINGS)
        members = [(random.choice(NAMES), b"content") for _ in range(random.randint(1, 3))]
        members += random.sample(list(MEMBERS.items()), random.randint(0, 3))
        random.shuffle(members)
        try:
            content = packed(ending, members)
        except Exception:  # names that Python's writers do not take
            return
        attempt(content, f"a.{ending}", tmp_path)

    hammer("member names", count, case)


@many(30, 400)
@pytest.mark.filterwarnings("ignore")
def test_links_and_devices_of_every_kind(count: int, tmp_path: Path) -> None:
    kinds = [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
    ]
    targets = [
        "../x",
        "/etc/passwd",
        "a.jpg",
        "images/a.jpg",
        ".",
        "..",
        "link0",
        "images/../..",
        "",
        "x" * 5000,
    ]

    def case(random: Random) -> None:
        special = []
        for number in range(random.randint(1, 3)):
            info = tarfile.TarInfo(random.choice([f"link{number}", "images", "images/link", *NAMES]))
            info.type = random.choice([*kinds, b"9", b"S", b"K"[:1]])
            info.linkname = random.choice(targets)
            info.mode = random.choice([0o777, 0o4755, 0, 0o100644])
            info.size = random.choice([0, 0, 0, 512, 2**33])
            info.devmajor = info.devminor = 1
            special.append(info)
        try:
            content = tarred([("link0/inner.txt", b"through"), *MEMBERS.items()], "", *special)
        except Exception:
            return
        attempt(content, "a.tar", tmp_path)

    hammer("links", count, case)


def test_an_archive_from_the_web_that_reaches_out(cli: Cli) -> None:
    """Through `visionkit data`: one message, and nothing but the store's own folder is touched."""
    before = sorted(os.listdir())
    with raw_server() as server:
        for ending in ("zip", "tar.gz", "7z"):
            server.answer = page(packed(ending, {"../../../evil\x1b[2J": b"x"}))
            result = cli("data", f"{server.url}/a.{ending}")
            assert_ended_well(result)
            assert result.exit_code == 1 and "evil" in result.output
    assert sorted(os.listdir()) == before
    assert not list(Path(os.environ["HOME"]).rglob("evil*"))
