"""A scan looks at each file once, and again only when it changed."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from checks.pictures import save
from PIL import Image

from visionkit.checks import facts
from visionkit.checks.facts import ImageFacts
from visionkit.checks.scan import scan_images, scan_masks
from visionkit.progress import Advance, Silence, Unit


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really looked at."""
    names: list[str] = []
    look = facts.look

    def counted(path: Path) -> ImageFacts:
        names.append(path.name)
        return look(path)

    monkeypatch.setattr(facts, "look", counted)
    return names


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [save(tmp_path / "images" / f"{number}.jpg", number) for number in range(5)]
    paths.append(tmp_path / "images" / "empty.jpg")
    paths[-1].touch()
    return paths


class Counted(Silence):
    def __init__(self) -> None:
        self.done = 0
        self.totals: list[int | None] = []

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        self.totals.append(total)

        def advance(count: int) -> None:
            self.done += count

        yield advance


def test_facts_come_in_the_order_of_the_paths_each_once(images: list[Path]) -> None:
    progress = Counted()
    found = scan_images([*reversed(images), images[0]], None, progress)
    assert [each.path for each in found] == images[::-1]
    assert progress.done == 6 and progress.totals == [6]


def test_a_second_scan_reads_no_file(images: list[Path], tmp_path: Path, looks: list[str]) -> None:
    memory = tmp_path / "new" / "memory.sqlite"
    first = scan_images(images, memory, Silence())
    assert len(looks) == 6
    progress = Counted()
    assert scan_images(images, memory, progress) == first
    assert len(looks) == 6 and progress.totals == []


def test_only_changed_and_new_files_are_read_again(
    images: list[Path], tmp_path: Path, looks: list[str]
) -> None:
    memory = tmp_path / "memory.sqlite"
    scan_images(images, memory, Silence())
    looks.clear()
    images[0].write_bytes(images[0].read_bytes()[:300])
    status = images[1].stat()
    os.utime(images[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    new = save(tmp_path / "images" / "new.jpg", 50)
    found = scan_images([*images, new], memory, Silence())
    assert sorted(looks) == ["0.jpg", "1.jpg", "new.jpg"]
    assert found[0].fault_kind == "truncated" and found[1].fault is None


def test_missing_files_are_not_remembered(tmp_path: Path, looks: list[str]) -> None:
    path = tmp_path / "late.jpg"
    memory = tmp_path / "memory.sqlite"
    assert scan_images([path], memory, Silence())[0].fault_kind == "missing file"
    save(path, 1)
    assert scan_images([path], memory, Silence())[0].fault is None


def test_masks_and_images_are_remembered_apart(tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(path)
    memory = tmp_path / "memory.sqlite"
    for _ in range(2):
        assert scan_images([path], memory, Silence())[0].format == "PNG"
        assert scan_masks([path], memory, Silence())[0].pixels == dict.fromkeys(range(100), 1)


@pytest.mark.parametrize("damage", [b"this is no database, but a text of some length\n" * 100, b"\0" * 5000])
def test_a_damaged_memory_is_begun_anew(
    damage: bytes, images: list[Path], tmp_path: Path, looks: list[str]
) -> None:
    memory = tmp_path / "memory.sqlite"
    memory.write_bytes(damage)
    scan_images(images, memory, Silence())
    looks.clear()
    scan_images(images, memory, Silence())
    assert looks == []
    assert (tmp_path / "memory.sqlite.damaged").read_bytes() == damage


def test_a_memory_that_is_damaged_inside_is_no_error(images: list[Path], tmp_path: Path) -> None:
    memory = tmp_path / "memory.sqlite"
    first = scan_images(images, memory, Silence())
    content = bytearray(memory.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    memory.write_bytes(content)
    for _ in range(3):
        assert scan_images(images, memory, Silence()) == first


def test_other_texts_in_the_memory_are_not_believed(images: list[Path], tmp_path: Path) -> None:
    memory = tmp_path / "memory.sqlite"
    first = scan_images(images, memory, Silence())
    texts = ["[1, 2]", "{", '{"surprise": 1}', "7", "null", '"pixels"']
    connection = sqlite3.connect(memory)
    with connection:
        for row, text in zip(connection.execute("SELECT name FROM seen").fetchall(), texts):
            connection.execute("UPDATE seen SET text = ? WHERE name = ?", (text, row[0]))
    connection.close()
    assert scan_images(images, memory, Silence()) == first


def test_a_memory_that_cannot_be_written_is_no_error(images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(scan_images(images, tmp_path / "file" / "memory.sqlite", Silence())) == 6
    assert len(scan_images(images, tmp_path, Silence())) == 6
    assert (tmp_path / "file").read_text() == "in the way" and tmp_path.is_dir()


def test_another_version_counts_for_nothing(
    images: list[Path], tmp_path: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory.sqlite"
    scan_images(images, memory, Silence())
    monkeypatch.setattr("visionkit.checks.scan.VERSION", "next")
    scan_images(images, memory, Silence())
    assert len(looks) == 12


def test_an_interrupted_scan_keeps_what_it_has_seen(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[str]
) -> None:
    memory = tmp_path / "memory.sqlite"
    counted = facts.look

    def interrupted(path: Path) -> ImageFacts:
        if path.name == "3.jpg":
            raise KeyboardInterrupt
        return counted(path)

    with monkeypatch.context() as patch:
        patch.setattr(facts, "look", interrupted)
        patch.setattr("visionkit.checks.scan.AT_ONCE", 1)
        with pytest.raises(KeyboardInterrupt):
            scan_images(images, memory, Silence())
    looks.clear()
    scan_images(images, memory, Silence())
    assert sorted(looks) == ["3.jpg", "4.jpg", "empty.jpg"]


def _scan(paths: list[Path], memory: Path) -> None:
    if any(each.fault for each in scan_images(paths, memory, Silence())):
        sys.exit(3)


def test_two_processes_share_a_memory(tmp_path: Path, looks: list[str]) -> None:
    paths = [save(tmp_path / "images" / f"{number}.jpg", number) for number in range(60)]
    memory = tmp_path / "memory.sqlite"
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_scan, args=(part, memory)) for part in (paths[:40], paths[20:], paths[::2])
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0, 0]
    scan_images(paths, memory, Silence())
    assert looks == []


def test_names_that_are_not_unicode_are_remembered(tmp_path: Path, looks: list[str]) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    save(path, 1)
    memory = tmp_path / "memory.sqlite"
    scan_images([path], memory, Silence())
    assert scan_images([path], memory, Silence())[0].fault is None
    assert len(looks) == 1
