"""Downloads that stall, break off, are killed or arrive damaged: gone on with, never taken for whole."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources.kaggle_server import KEY, SLUG, TABLE, Kaggle, kaggle_server, photos, tar_7z, zipped

from visionkit.sources.kaggle import KaggleCompetition, KaggleDataset

MEGABYTE = 1 << 20
BIG = random.Random(0).randbytes(3 * MEGABYTE)
SOURCE = KaggleCompetition(SLUG, ("big.bin",))


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        kaggle.files = {"big.bin": BIG}
        yield kaggle


FAULTS = {
    "cut once": [("cut", 2 * MEGABYTE + 5)],
    "cut again and again": [("cut", MEGABYTE + 5)] * 3,
    "stalled": [("stall", 2 * MEGABYTE + 5)],
    "storage busy": [("status", 503)],
    "cut, then refused": [("cut", 2 * MEGABYTE), ("status", 503), ("status", 403)],
}


@pytest.mark.parametrize("transfers", FAULTS.values(), ids=FAULTS)
def test_a_lost_connection_is_gone_on_with(transfers: list[tuple[str, int]], kaggle: Kaggle) -> None:
    kaggle.transfers = list(transfers)
    said = kaggle.fetch(SOURCE, timeout=1.0, **KEY)
    assert "folder" in said, said
    assert kaggle.contents() == {"big.bin": BIG}
    (bar,) = said["bars"]
    assert (bar["total"], bar["done"]) == (len(BIG), len(BIG))
    if transfers[0][0] != "status":
        assert any(part and part.startswith("bytes=") for part in kaggle.ranges)
        assert any(note.startswith(f"going on   big.bin of {SLUG} at ") for note in said["notes"])


def test_a_server_that_cannot_go_on_sends_all_again(kaggle: Kaggle) -> None:
    del kaggle.headers["Accept-Ranges"]
    kaggle.transfers = [("cut", 2 * MEGABYTE)]
    said = kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG}
    assert said["bars"][0]["done"] == len(BIG)


@pytest.mark.parametrize("question", ["IntrospectToken", "ListDataFiles", "DownloadDataFile"])
def test_a_question_without_an_answer_is_asked_again(question: str, kaggle: Kaggle) -> None:
    kaggle.hangs = [question] * (2 if question == "IntrospectToken" else 1)  # once when it is imported
    said = kaggle.fetch(SOURCE, timeout=1.0, KAGGLE_API_TOKEN="KGAT_0123")
    assert "folder" in said, said
    assert kaggle.contents() == {"big.bin": BIG}
    assert any("no answer" in note and "trying again" in note for note in said["notes"])


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_busy_kaggle_is_asked_again(code: int, kaggle: Kaggle) -> None:
    kaggle.errors = {"DownloadDataFile": [(code, "Busy"), (code, "Busy"), (0, "")]}
    said = kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG}
    assert sum(f"{code}" in note for note in said["notes"]) == 2
    first, second = said["slept"]
    assert first < second or (code == 429 and first == second == 17)  # as long as Kaggle asks for


def kill_half_way(kaggle: Kaggle, source: KaggleCompetition | KaggleDataset) -> None:
    """Kill the process that fetches once it has written a megabyte or two, and the server sends no more."""
    kaggle.transfers = [("stall", 2 * MEGABYTE + 5)]
    process = subprocess.Popen(
        kaggle.command(source, timeout=60.0),
        env=kaggle.environment(**KEY),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not any(file.stat().st_size >= MEGABYTE for file in kaggle.store.rglob("*") if file.is_file()):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.kill()
    process.wait()
    kaggle.ranges.clear()


def test_a_killed_download_is_continued(kaggle: Kaggle) -> None:
    kill_half_way(kaggle, SOURCE)
    assert not SOURCE.is_there(kaggle.store)
    assert not (kaggle.folder / "big.bin").exists()
    said = kaggle.fetch(SOURCE, **KEY)
    assert "folder" in said, said
    assert kaggle.contents() == {"big.bin": BIG}
    assert kaggle.ranges[0] is None and kaggle.ranges[1] in (
        f"bytes={MEGABYTE}-",
        f"bytes={2 * MEGABYTE}-",
    )
    assert said["bars"][0]["done"] == len(BIG)


def test_a_killed_download_of_a_data_set_is_continued(kaggle: Kaggle) -> None:
    source = KaggleDataset("owner/name")
    kaggle.datasets = {source.slug: zipped({"big.bin": BIG})}
    kill_half_way(kaggle, source)
    assert not source.is_there(kaggle.store)
    assert "folder" in kaggle.fetch(source, **KEY)
    assert (source.folder(kaggle.store) / "big.bin").read_bytes() == BIG
    assert len(kaggle.ranges) == 2 and kaggle.ranges[1]


def test_what_a_killed_unpacking_of_a_data_set_left_is_no_hindrance(kaggle: Kaggle) -> None:
    source = KaggleDataset("owner/name")
    kaggle.datasets = {source.slug: zipped({"a.txt": b"a"})}
    folder = source.folder(kaggle.store)
    half = folder.with_name(".name.downloads") / "unpacked" / "name" / "half.txt"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert not source.is_there(kaggle.store)
    assert "folder" in kaggle.fetch(source, **KEY)
    assert [file.name for file in folder.iterdir()] == ["a.txt"]
    assert [path.name for path in folder.parent.iterdir()] == ["name"]


def test_half_a_file_of_an_older_version_is_fetched_anew(kaggle: Kaggle) -> None:
    kill_half_way(kaggle, SOURCE)
    kaggle.headers["ETag"] = '"2"'
    kaggle.files = {"big.bin": BIG[::-1]}
    assert "folder" in kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG[::-1]}


def test_half_a_file_that_is_longer_than_its_new_version(kaggle: Kaggle) -> None:
    kill_half_way(kaggle, SOURCE)
    kaggle.headers["ETag"] = '"2"'
    kaggle.files = {"big.bin": b"short"}
    assert "folder" in kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": b"short"}


def test_half_a_file_without_its_mark_is_fetched_anew(kaggle: Kaggle) -> None:
    kaggle.headers.clear()
    kill_half_way(kaggle, SOURCE)
    for mark in kaggle.store.rglob("*.kaggle-partial"):
        mark.unlink()
    assert "folder" in kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG}


def test_a_kill_after_the_last_byte_costs_nothing(kaggle: Kaggle) -> None:
    kaggle.headers["ETag"] = '"1"'
    kill_half_way(kaggle, SOURCE)
    (half,) = (file for file in kaggle.store.rglob("big.bin"))
    half.write_bytes(BIG)  # the mark of a half file is still there
    said = kaggle.fetch(SOURCE, **KEY)
    assert "folder" in said and kaggle.contents() == {"big.bin": BIG}
    assert said["bars"] == []


def test_a_connection_that_is_always_lost_ends_in_one_message(kaggle: Kaggle) -> None:
    kaggle.transfers = [("cut", 5)] * 50
    message = kaggle.fetch(SOURCE, **KEY)["error"]
    assert "Kaggle cannot be reached" in message and "call again" in message
    assert "secret" not in message and "\n" not in message
    assert not (kaggle.folder / "big.bin").exists()
    kaggle.transfers = []
    assert "folder" in kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG}


def test_a_storage_that_always_refuses_leaves_nothing_that_looks_whole(kaggle: Kaggle) -> None:
    kaggle.transfers = [("cut", 2 * MEGABYTE)] + [("status", 403)] * 50
    said = kaggle.fetch(SOURCE, **KEY)
    assert "403" in said["error"] and "secret" not in said["error"]
    kaggle.transfers = []
    assert "folder" in kaggle.fetch(SOURCE, **KEY)
    assert kaggle.contents() == {"big.bin": BIG}


def test_a_damaged_archive_leaves_no_folder(kaggle: Kaggle) -> None:
    source = KaggleCompetition(SLUG, ("train-jpg",))
    whole = tar_7z(photos("train-jpg", "train_0.jpg"))
    kaggle.files = {"train-jpg.tar.7z": whole[: len(whole) // 2]}
    message = kaggle.fetch(source, **KEY)["error"]
    assert "train-jpg.tar.7z: cannot be unpacked" in message
    (damaged,) = (file for file in kaggle.folder.rglob("*") if file.is_file())
    assert str(damaged) in message

    # The message says to delete the file: after that it is fetched again.
    damaged.unlink()
    kaggle.files = {"train-jpg.tar.7z": whole}
    assert "folder" in kaggle.fetch(source, **KEY)
    assert kaggle.contents() == {"train-jpg/train_0.jpg": b"train_0.jpg"}


def test_what_a_killed_unpacking_left_is_no_hindrance(kaggle: Kaggle) -> None:
    work = kaggle.folder / ".downloads" / "unpacked"
    (work / "train-jpg").mkdir(parents=True)
    (work / "train-jpg" / "half.jpg").write_bytes(b"half")
    kaggle.files = {"train-jpg.tar.7z": tar_7z(photos("train-jpg", "train_0.jpg")), "train_v2.csv": TABLE}
    assert "folder" in kaggle.fetch(KaggleCompetition(SLUG, ("train-jpg",)), **KEY)
    assert kaggle.contents() == {"train-jpg/train_0.jpg": b"train_0.jpg"}


def test_a_store_that_cannot_be_written_to(kaggle: Kaggle) -> None:
    kaggle.store.write_bytes(b"a file")
    message = kaggle.fetch(SOURCE, **KEY)["error"]
    assert str(kaggle.folder) in message and "cannot be written" in message
