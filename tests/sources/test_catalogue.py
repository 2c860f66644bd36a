"""Fetched data sets are recorded, listed, locked while they are fetched, and removed by name."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import Cli

from visionkit.errors import UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.sources.base import Store
from visionkit.sources.catalogue import entries, fetched, find_entry, remove


@dataclass
class Box:
    """A source that makes a folder of two files, slowly if asked to."""

    name: str = "shelf:boxes"
    url: str = "https://example.org/boxes"
    licence: str = "CC0"
    seconds: float = 0.0
    fetches: list[Path] = field(default_factory=list)

    def folder(self, root: Path) -> Path:
        return root / "shelf" / "boxes"

    def leftovers(self, root: Path) -> list[Path]:
        return [root / "boxes.zip"]

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        folder = self.folder(store.root)
        if not folder.is_dir():
            self.fetches.append(folder)
            time.sleep(self.seconds)
            folder.mkdir(parents=True)
            (folder / "a.txt").write_text("12345")
            (folder / "b.txt").write_text("678")
        return folder


def test_fetched_once_and_recorded(tmp_path: Path) -> None:
    box, store = Box(), Store(tmp_path, Silence())
    assert fetched(box, store) == fetched(box, store) == tmp_path / "shelf" / "boxes"
    assert len(box.fetches) == 1
    (record,) = entries(tmp_path)
    assert (record.name, record.files, record.bytes) == ("shelf:boxes", 2, 8)
    assert (record.url, record.licence) == (box.url, "CC0")
    assert Path(record.folder) == tmp_path / "shelf" / "boxes"


def test_one_fetches_and_the_others_wait(tmp_path: Path) -> None:
    box, store = Box(seconds=0.3), Store(tmp_path, Silence())
    threads = [threading.Thread(target=fetched, args=(box, store)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(box.fetches) == 1


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from visionkit.sources.base import Store\n"
        "from visionkit.sources.catalogue import _locked\n"
        "root = Path(sys.argv[1])\n"
        "with _locked(root / 'shelf' / 'boxes', Store(root).progress):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path, "."], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    assert fetched(Box(), Store(tmp_path, Silence())).is_dir()


def test_removal(tmp_path: Path) -> None:
    fetched(Box(), Store(tmp_path, Silence()))
    (tmp_path / "boxes.zip").touch()
    remove(tmp_path, find_entry(tmp_path, "shelf:boxes"))
    assert not (tmp_path / "boxes.zip").exists()
    assert entries(tmp_path) == []
    assert [path.name for path in (tmp_path / "shelf").iterdir() if path.is_dir()] == []
    with pytest.raises(UsageError, match="no data set 'shelf:boxes'"):
        find_entry(tmp_path, "shelf:boxes")


def test_a_folder_that_is_gone_or_a_damaged_record_is_not_listed(tmp_path: Path) -> None:
    folder = fetched(Box(), Store(tmp_path, Silence()))
    (tmp_path / "catalogue" / "broken.json").write_text("{")
    (tmp_path / "catalogue" / "other.json").write_text(json.dumps({"name": 3}))
    assert [record.name for record in entries(tmp_path)] == ["shelf:boxes"]
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert entries(tmp_path) == []


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VisionkitError, match=r"cannot be written .*\[paths\]"):
        fetched(Box(), Store(tmp_path / "file", Silence()))


@pytest.fixture
def settings(tmp_path: Path, cli: Cli) -> Path:
    """settings.ini in the current folder, with a store of its own."""
    store = tmp_path / "store"
    Path("settings.ini").write_text(f"[paths]\ndata = {store}\n")
    return store


def test_list_and_remove_on_the_command_line(cli: Cli, settings: Path) -> None:
    assert "no data set" in cli("data", "--list").output
    fetched(Box(), Store(settings, Silence()))
    listed = cli("data", "--list")
    assert listed.exit_code == 0
    for word in ("shelf:boxes", "8 bytes", "CC0", str(settings / "shelf" / "boxes")):
        assert word in listed.output
    refused = cli("data", "--remove", "shelf:boxs")
    assert refused.exit_code == 2 and "Did you mean 'shelf:boxes'?" in refused.output
    unanswered = cli("data", "--remove", "shelf:boxes")
    assert unanswered.exit_code == 1 and "Delete" in unanswered.output
    assert (settings / "shelf" / "boxes" / "a.txt").is_file()
    gone = cli("data", "--remove", "shelf:boxes", "--yes")
    assert gone.exit_code == 0 and not (settings / "shelf" / "boxes").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--list", "--remove"]),
        (["pets", "--list"], ["--list", "--remove"]),
        (["pet"], ["'pets'", "kaggle:datasets/OWNER/NAME"]),
        (["kaggle:planet"], ["kaggle:planet: not a source", "kaggle:competitions/NAME"]),
        (["fastai:PEST"], ["PETS"]),
        (["ftp://example.org/a.zip"], ["not a source"]),
        (["pets", "--test"], ["names no test images"]),
    ],
)
def test_wrong_calls(cli: Cli, settings: Path, arguments: list[str], words: list[str]) -> None:
    result = cli("data", *arguments)
    assert result.exit_code == 2, result.output
    assert all(word in result.output for word in words), result.output
