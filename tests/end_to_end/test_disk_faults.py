"""Disks that are full or read-only, and too few file handles: one message, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import FAST, Cli, train_fast
from inference.stored import stored_bundle, stored_run
from typer.testing import Result

pytestmark = pytest.mark.usefixtures("unpainted")

RUN = [sys.executable, "-m", "visionkit"]
Filled = Callable[[str], None]


def refused(result: Result, *words: str) -> None:
    """One message with these words, and exit code 1."""
    assert result.exit_code == 1, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert all(word in line for word in words), line
    assert "Traceback" not in result.output and "fault of visionkit" not in result.output


def left_over(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if ".part" in path.name or ".tmp" in path.name]


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def full_for(monkeypatch: pytest.MonkeyPatch) -> Filled:
    """`full_for("history.csv")`: the disk has no room for files with this in their names."""
    sync = os.fsync

    def fill(name: str) -> None:
        def fsync(number: int) -> None:
            if name in os.path.basename(os.readlink(f"/proc/self/fd/{number}")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(number)

        monkeypatch.setattr(os, "fsync", fsync)

    return fill


@contextmanager
def no_larger_files_than(size: int) -> Iterator[None]:
    """The system writes no byte behind this place of a file: as a full disk does, for any user."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`mounted("size=64k")` is a small disk of its own, where this user may mount one."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        call = ["mount", "-t", "tmpfs", "-o", options, "visionkit-test", str(place)]
        if not shutil.which("mount") or subprocess.run(call, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a disk; the same faults are tested without one, too")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@pytest.mark.parametrize(
    "name", ["split.csv", "history.csv", "batches.csv", "model.safetensors", "model.json", "losses.png"]
)
def test_no_room_in_a_training(name: str, cli: Cli, pets: Path, full_for: Filled) -> None:
    full_for(name)
    result = train_fast(cli, "pets", pets, "--out", "run")
    refused(result, f"{name}: No space left on device", "Make room")
    said = json.loads(Path("run/run.json").read_text())
    assert said["status"] == "failed" and "No space left" in said["error"]
    assert not left_over(Path("run"))
    assert not list(Path("run").rglob(name))


def test_no_room_for_the_first_file(cli: Cli, pets: Path, full_for: Filled) -> None:
    full_for("run.json")
    refused(train_fast(cli, "pets", pets, "--out", "run"), "run.json: No space left on device", "Make room")
    assert not Path("run").exists(), "the same call can be made again"


def test_no_room_for_what_ends_a_run(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the failure can be noted, the first fault is told, and run.json is as it was."""
    sync = os.fsync

    def fsync(number: int) -> None:
        if Path("run/split.csv").exists():  # the disk is full from here on
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    refused(train_fast(cli, "pets", pets, "--out", "run"), "No space left on device", "Make room")
    assert json.loads(Path("run/run.json").read_text())["status"] == "running"
    assert not left_over(Path("run"))


@pytest.mark.slow
def test_small_disk(cli: Cli, pets: Path, mounted: Callable[..., Path]) -> None:
    """With room for the tables and none for the model."""
    disk = mounted("size=400k")
    result = train_fast(cli, "pets", pets, "--out", disk / "run")
    refused(result, "No space left on device", str(disk / "run"), "Make room")
    assert json.loads((disk / "run" / "run.json").read_text())["status"] == "failed"
    assert not left_over(disk)


def test_read_only_disk(cli: Cli, pets: Path, mounted: Callable[..., Path]) -> None:
    disk = mounted("ro")
    refused(
        train_fast(cli, "pets", pets, "--out", disk / "run"), "run: Read-only file system", "another folder"
    )


@pytest.mark.slow
def test_read_only_run_folder_keeps_what_it_has(cli: Cli, pets: Path, mounted: Callable[..., Path]) -> None:
    disk = mounted("size=100m")
    stored_run(disk / "run", "single-label", pets)
    before = content(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for call in (
        ["evaluate", disk / "run", "--data", pets, "--workers", 0, "--bs", 4],
        ["export", disk / "run", "--to", "safetensors"],
        ["predict", disk / "run", pets / "images", "--out", disk / "answers.csv"],
        ["card", disk / "run", "--out", disk / "README.md"],
        ["plot", disk / "run"],
    ):
        result = cli(*call)
        assert result.exit_code in (1, 2), (call, result.output)
        if result.exit_code == 1 and call[0] not in ("evaluate", "plot"):
            refused(result, "Read-only file system", str(disk), "another folder")
        assert "Traceback" not in result.output
    assert content(disk) == before and not left_over(disk)


@pytest.mark.slow
@pytest.mark.parametrize(("to", "ending"), [("onnx", ".onnx"), ("pt2", ".pt2"), ("safetensors", "")])
def test_no_room_for_an_export(to: str, ending: str, cli: Cli, pets: Path, tmp_path: Path) -> None:
    model, out = stored_bundle(tmp_path / "model", "single-label"), tmp_path / f"exported{ending}"
    before = content(model)
    with no_larger_files_than(50_000):
        data = [] if to == "safetensors" else ["--data", pets / "images"]
        result = cli("export", model, "--to", to, "--out", out, *data)
    refused(result, str(out), "File too large", "ulimit -f")
    assert not out.exists() and not left_over(tmp_path)
    assert content(model) == before


@pytest.mark.slow
def test_no_room_for_a_learner(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    before = content(Path("run"))
    with no_larger_files_than(50_000):
        result = cli("export", "run", "--to", "fastai", "--out", "learner.pkl")
    refused(result, "learner.pkl: cannot be written", "Make room")
    assert content(Path("run")) == before and not Path("learner.pkl").exists() and not left_over(Path())


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_no_room_for_predictions(ending: str, cli: Cli, pets: Path, tmp_path: Path) -> None:
    """What is there stays; with room, the same call goes on and every image is there once."""
    stored_bundle(tmp_path / "model", "single-label")
    images, out = pets / "images", tmp_path / f"answers{ending}"
    call = ["predict", tmp_path / "model", images, "--out", out, "--bs", 4]
    with no_larger_files_than(800):
        result = cli(*call)
    refused(result, out.name, "File too large", "ulimit -f")
    assert not left_over(tmp_path)
    again = cli(*call)
    assert again.exit_code == 0, again.output
    import pandas as pd

    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    table = pd.read_json(out, lines=True) if ending == ".jsonl" else read[ending](out)
    assert sorted(Path(name).name for name in table["image"]) == sorted(os.listdir(images))


@pytest.mark.slow
def test_no_room_for_masks(cli: Cli, camvid: Path, tmp_path: Path) -> None:
    stored_bundle(tmp_path / "model", "segmentation")
    call = ["predict", tmp_path / "model", camvid / "images", "--out", tmp_path / "masks"]
    with no_larger_files_than(500):
        result = cli(*call)
    refused(result, "masks", "File too large", "ulimit -f")
    assert not left_over(tmp_path)
    assert cli(*call).exit_code == 0
    assert len(list((tmp_path / "masks" / "masks").glob("*.png"))) == 10


def test_no_room_for_the_cache(cli: Cli, pets: Path) -> None:
    """It is a means to be fast: without it, the training reads the files."""
    Path("settings.ini").write_text("[cache]\nfolder = cache\n")
    with no_larger_files_than(20_000):
        result = train_fast(
            cli,
            "pets",
            pets,
            "--out",
            "run",
        )
    assert "Traceback" not in result.output
    assert "cache" in result.output and "File too large" in result.output
    assert not [file for file in Path("cache").rglob("*") if file.is_file() and file.stat().st_size > 0]


@pytest.mark.slow
def test_full_cache_disk_does_not_stop_a_training(cli: Cli, pets: Path, mounted: Callable[..., Path]) -> None:
    disk = mounted("size=16k")
    Path("settings.ini").write_text(f"[cache]\nfolder = {disk}\n")
    result = train_fast(cli, "pets", pets, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "from the files" in result.output
    assert not [file for file in disk.rglob("*") if file.is_file() and not file.name.endswith(".lock")]


def test_output_that_cannot_be_written() -> None:
    """`visionkit recipes > /dev/full`"""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*RUN, "recipes"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "handles", "most", "enough"),
    [
        (0, 5, 5, False),
        (2, 16, 16, False),
        (2, 16, 4096, True),
    ],
)
def test_file_handles(
    workers: int, handles: int, most: int, enough: bool, pets: Path, tmp_path: Path
) -> None:
    """Too few end a training with a message; where the system grants more, they are taken."""
    options = [*FAST, "--workers", str(workers), "--cache", "off", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*RUN, "pets", "--data", str(pets), "--size", "32", "--then", "", *options],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (handles, most)),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=200,
    )
    assert done.returncode == (0 if enough else 1), done.stderr
    assert "Traceback" not in done.stderr
    if not enough:
        assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
        assert "Too many open files" in done.stderr and "ulimit -n" in done.stderr
