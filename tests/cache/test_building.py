"""Caches are made as a whole or not at all, once, and only where there is room."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cache.drawn import ABOUT, KEY, OTHER, Heard, built, kept, make

from visionkit.cache import room
from visionkit.cache.building import CacheFolder, NoRoom, Wanted, build
from visionkit.cache.stored import Kept, Stored, Writer
from visionkit.errors import DataError
from visionkit.progress import Silence

MANY = 3000


def wanted(key: str = KEY, images: int = 5) -> list[Wanted]:
    return [Wanted(key, range(images), ABOUT)]


def left(folder: Path) -> list[str]:
    """What is in the cache's folder besides locks."""
    return sorted(each.name for each in folder.iterdir() if each.suffix != ".lock")


@pytest.mark.parametrize("images", [0, 1, 2, 70])
def test_any_number_of_images(images: int, tmp_path: Path) -> None:
    stored = built(tmp_path, images=images)
    assert len(stored) == images
    assert [int(stored.image(place)[0, 0, 0]) for place in range(images)] == list(range(images))


def test_what_is_there_is_not_made_again_even_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = build(CacheFolder(tmp_path), wanted(), refused, 2, Silence())  # type: ignore[arg-type]
    assert len(found[KEY]) == 5


def test_one_pass_over_the_images_fills_several_caches(tmp_path: Path) -> None:
    asked: dict[int, list[str]] = {}

    def made(number: int, keys: Sequence[str]) -> dict[str, Kept]:
        asked[number] = sorted(keys)
        return make(number, keys)

    both = [Wanted(KEY, range(6), ABOUT), Wanted(OTHER, (4, 5), ABOUT)]
    found = build(CacheFolder(tmp_path), both, made, 2, Silence())
    assert asked == {**{number: [KEY] for number in range(4)}, 4: [KEY, OTHER], 5: [KEY, OTHER]}
    assert [int(found[OTHER].image(place)[0, 0, 0]) for place in (0, 1)] == [4, 5]


@pytest.mark.parametrize("damage", ["cut", "gone", "text", "index", "fewer"])
def test_a_damaged_cache_is_made_again(damage: str, tmp_path: Path) -> None:
    stored = built(tmp_path)
    pixels = stored.folder / "pixels.bin"
    match damage:
        case "cut":
            pixels.write_bytes(pixels.read_bytes()[:-7])
        case "gone":
            pixels.unlink()
        case "text":
            (stored.folder / "cache.json").write_text("nothing")
        case "index":
            (stored.folder / "index.npy").write_bytes(b"")
        case "fewer":
            shutil.rmtree(stored.folder)
            built(tmp_path, images=3)
    again = build(CacheFolder(tmp_path), wanted(), make, 2, Silence())[KEY]
    assert len(again) == 5 and int(again.image(4)[0, 0, 0]) == 4
    assert left(tmp_path) == [KEY]


@pytest.mark.parametrize("error", [DataError("cat.jpg: broken"), KeyboardInterrupt(), RuntimeError("odd")])
def test_nothing_is_left_of_an_interrupted_pass(error: BaseException, tmp_path: Path) -> None:
    def made(number: int, keys: Sequence[str]) -> dict[str, Kept]:
        if number == 3:
            raise error
        return make(number, keys)

    with pytest.raises(type(error)):
        build(CacheFolder(tmp_path), wanted(), made, 2, Silence())
    assert left(tmp_path) == []
    assert len(built(tmp_path)) == 5


BUILDING = f"""
import sys, time
from pathlib import Path
from cache.drawn import ABOUT, Heard, make
from visionkit.cache.building import CacheFolder, Wanted, build

heard, made = Heard(), 0
def slowly(number, keys):
    global made
    made += 1
    if made == 2:
        print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
    return make(number, keys)
wanted = [Wanted("{KEY}", range(int(sys.argv[3])), ABOUT)]
found = build(CacheFolder(Path(sys.argv[1])), wanted, slowly, 2, heard)
print("made", made, "found", len(found["{KEY}"]), *heard.notes)
"""


def building(folder: Path, seconds: float, images: int) -> subprocess.Popen[str]:
    tests = Path(__file__).resolve().parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", BUILDING, folder, str(seconds), str(images)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tests)},
    )


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_killed_pass_leaves_nothing_that_is_taken_for_whole(seconds: float, tmp_path: Path) -> None:
    process = building(tmp_path, 0.0005, MANY)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)  # wherever it is then
    process.kill()
    process.wait()
    found = CacheFolder(tmp_path).find(KEY)
    assert found is None or len(found) == MANY
    assert len(built(tmp_path, images=MANY)) == MANY
    assert left(tmp_path) == [KEY]


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    process = building(tmp_path, 0.001, MANY)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.wait()
    assert process.returncode != 0
    assert left(tmp_path) == []


def test_one_process_makes_what_the_other_one_waits_for(tmp_path: Path) -> None:
    first = building(tmp_path, 0.02, 100)
    assert first.stdout is not None
    first.stdout.readline()
    heard = Heard()

    def never(number: int, keys: Sequence[str]) -> dict[str, Kept]:
        raise AssertionError

    found = build(CacheFolder(tmp_path), wanted(images=100), never, 2, heard)
    assert len(found[KEY]) == 100
    assert any("another process caches images" in note for note in heard.notes)
    assert first.stdout.read().startswith("made 100 found 100")
    assert first.wait() == 0


class FullDisk(Writer):
    """Writes until there is no room."""

    def add(self, kept: Kept) -> None:
        if len(self.rows) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().add(kept)


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visionkit.cache.building.Writer", FullDisk)
    with pytest.raises(NoRoom, match="No space left on device"):
        built(tmp_path)
    assert left(tmp_path) == []


def test_a_disk_with_too_little_room_is_seen_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0

    def counted(number: int, keys: Sequence[str]) -> dict[str, Kept]:
        nonlocal made
        made += 1
        return {key: kept(0) for key in keys}

    free = room.SPARED + 100_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))  # type: ignore[attr-defined]
    with pytest.raises(NoRoom, match=r"take 576.0 kB, and the disk of .* has 11\d.\d kB to spare"):
        build(CacheFolder(tmp_path), wanted(images=MANY), counted, 1, Silence())
    assert made < 200
    assert left(tmp_path) == []


def test_a_limit_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"limit is 1.0 kB \(max_gb"):
        build(CacheFolder(tmp_path, 1000), wanted(images=50), make, 1, Silence())
    assert left(tmp_path) == []


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoRoom, match="file/cache cannot be written"):
        built(tmp_path / "file" / "cache")


def test_a_lock_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / f".{KEY}.lock").mkdir()
    with pytest.raises(NoRoom, match="cannot be written"):
        built(tmp_path)


def age(stored: Stored, days: int) -> None:
    then = time.time() - days * 86400
    os.utime(stored.folder / "cache.json", (then, then))


def test_the_least_recently_used_goes_for_room(tmp_path: Path) -> None:
    keys = [str(number) * 24 for number in range(3)]
    sizes = []
    for key, days in zip(keys, (1, 3, 2)):
        stored = built(tmp_path, key)
        sizes.append(sum(file.stat().st_size for file in stored.folder.iterdir()))
        age(stored, days)
    (tmp_path / f".{OTHER}.part").mkdir()
    heard = Heard()
    folder = CacheFolder(tmp_path, sum(sizes) + 10)
    build(folder, wanted(), make, 1, heard)
    assert left(tmp_path) == sorted([keys[0], keys[2], KEY])
    assert heard.notes[-1] == "cache      removed that of /data/pets at 8x8 (" + heard.notes[-1].split("(")[1]


def test_no_cache_goes_where_all_would_not_be_enough(tmp_path: Path) -> None:
    built(tmp_path, OTHER)
    with pytest.raises(NoRoom):
        build(CacheFolder(tmp_path, 10_000), wanted(images=200), make, 1, Silence())
    assert left(tmp_path) == [OTHER]


def test_other_users_can_read_a_cache(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        stored = built(tmp_path)
    finally:
        os.umask(before)
    assert stored.folder.stat().st_mode & 0o055 == 0o055
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in stored.folder.iterdir())


def test_threads_of_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(built(tmp_path)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5] * 4
