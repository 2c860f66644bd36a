"""`visionkit cache`: what is kept, and deleting it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from cache.drawn import KEY, OTHER, built
from conftest import Cli
from filelock import FileLock

THIRD = "abc" * 8


@pytest.fixture
def kept(cli: Cli, tmp_path: Path) -> Path:
    """Three caches of two recipes, the first used today, the others 5 and 50 days ago; settings name them."""
    folder = tmp_path / "caches"
    built(folder, KEY)
    built(folder, OTHER, images=7, kind="validation")
    built(folder, THIRD, recipe="camvid", data="/data/camvid[x]\x1b[31m", size="48x36")
    for key, days in ((OTHER, 5), (THIRD, 50)):
        then = time.time() - days * 86400
        os.utime(folder / key / "cache.json", (then, then))
    Path("settings.ini").write_text(f"[cache]\nfolder = {folder}\nmax_gb = 2.5\n")
    return folder


def there(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_the_list(kept: Path, cli: Cli) -> None:
    done = cli("cache", "list")
    assert done.exit_code == 0
    rows = [line.split() for line in done.output.splitlines() if line.strip()]
    keys = [row[0] for row in rows if len(row[0]) == 12]
    assert keys == [KEY[:12], OTHER[:12], THIRD[:12]]
    assert "/data/camvid[x]\\x1b[31m" in done.output and "\x1b" not in done.output
    for word in ("pets", "training", "validation", "48x36", "8x8", " 7 "):
        assert word in done.output
    assert f"in {kept}, limit 2.5 GB, " in done.output and done.output.rstrip().endswith("free on the disk")


def test_the_list_as_json(kept: Path, cli: Cli) -> None:
    (kept / f".{'1' * 24}.part").mkdir()
    told = json.loads(cli("cache", "list", "--json").output)
    assert told["folder"] == str(kept) and told["limit"] == 2_500_000_000 and told["free"] > 0
    assert [each["key"] for each in told["caches"]] == [KEY, OTHER, THIRD, "1" * 24]
    assert [each["kind"] for each in told["caches"]] == ["training", "validation", "training", "unfinished"]
    assert [each["bytes"] for each in told["caches"][:3]] == [
        size_of(kept / key) for key in (KEY, OTHER, THIRD)
    ]
    assert told["bytes"] == sum(each["bytes"] for each in told["caches"])
    assert told["caches"][1]["images"] == 7 and told["caches"][1]["used"].startswith("20")


def test_nothing_is_there(cli: Cli, tmp_path: Path) -> None:
    Path("settings.ini").write_text(f"[cache]\nfolder = {tmp_path}/none/of/these\n")
    done = cli("cache", "list")
    assert (
        done.exit_code == 0
        and f"There is no cache in {tmp_path}/none/of/these (limit 100.0 GB" in done.output
    )
    done = cli("cache", "clear")
    assert done.exit_code == 0 and "removed    nothing" in done.output
    assert not (tmp_path / "none").exists()


def test_clearing_everything(kept: Path, cli: Cli) -> None:
    size = sum(size_of(kept / key) for key in (KEY, OTHER, THIRD))
    done = cli("cache", "clear")
    assert done.exit_code == 0
    assert f"removed    3 caches from {kept}: {size / 1000:.1f} kB are free" in done.output
    assert there(kept) == []


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (["pets"], {KEY, OTHER}),
        (["camvid"], {THIRD}),
        ([KEY], {KEY}),
        ([OTHER[:8], "camvid"], {OTHER, THIRD}),
        (["--older-than", "10"], {THIRD}),
        (["pets", "--older-than", "1"], {OTHER}),
        (["--older-than", "100"], set()),
        (["--older-than", "0"], {KEY, OTHER, THIRD}),
    ],
)
def test_clearing_some(arguments: list[str], gone: set[str], kept: Path, cli: Cli) -> None:
    done = cli("cache", "clear", *arguments)
    assert done.exit_code == 0
    assert {KEY, OTHER, THIRD} - {each for each in there(kept) if each[0] != "."} == gone


@pytest.mark.parametrize("name", ["pts", "0123", "9" * 24, "", "../caches"])
def test_a_name_that_no_cache_has(name: str, kept: Path, cli: Cli) -> None:
    before = there(kept)
    done = cli("cache", "clear", name)
    assert done.exit_code == 2 and f"there is no cache {name!r} in {kept}." in done.output
    assert ("Did you mean 'pets'?" in done.output) == (name == "pts")
    assert there(kept) == before


@pytest.mark.parametrize("days", ["-1", "nan", "soon", "1e9"])
def test_days_that_are_none(days: str, kept: Path, cli: Cli) -> None:
    before = there(kept)
    assert cli("cache", "clear", "--older-than", days).exit_code == 2
    assert there(kept) == before


def test_what_killed_processes_left_goes_and_what_is_not_ours_stays(kept: Path, cli: Cli) -> None:
    for name in (f".{'1' * 24}.part", f".{'2' * 24}.gone-77", "3" * 24):
        (kept / name).mkdir()
        (kept / name / "pixels.bin").write_bytes(bytes(1000))
    (kept / f".{'4' * 24}.lock").touch()
    strange = ["notes.txt", ".hidden", "photos", ".x.lock", "5" * 23, ".5.part"]
    for name in strange:
        (kept / name).mkdir()
        (kept / name / "cache.json").write_text("{}")
    done = cli("cache", "clear", "pets")
    assert done.exit_code == 0 and "removed    2 caches and 3 unfinished or damaged from" in done.output
    locks = [name for name in there(kept) if name == f".{THIRD}.lock"]
    assert there(kept) == sorted([*strange, THIRD, *locks])
    assert all((kept / name / "cache.json").is_file() for name in strange)


def test_what_another_process_writes_is_left(kept: Path, cli: Cli) -> None:
    part = kept / f".{'1' * 24}.part"
    part.mkdir()
    with FileLock(kept / f".{'1' * 24}.lock"), FileLock(kept / f".{KEY}.lock"):
        done = cli("cache", "clear")
        assert done.exit_code == 0
        assert done.output.count("left       ") == 2 and str(part) in done.output
        assert "removed    2 caches from" in done.output
        assert (kept / KEY / "cache.json").is_file() and part.is_dir()
        assert (kept / f".{'1' * 24}.lock").exists()
    assert cli("cache", "clear").exit_code == 0
    assert there(kept) == []


def test_on_a_terminal_it_asks(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from visionkit.cli.app import app

    monkeypatch.setattr("visionkit.cli.cache_command.on_terminal", lambda: True)
    refused = CliRunner().invoke(app, ["cache", "clear"], input="n\n")
    assert refused.exit_code == 1 and f"Delete 3 caches in {kept}" in refused.output
    assert KEY in there(kept)
    assert CliRunner().invoke(app, ["cache", "clear", "--yes"]).exit_code == 0
    assert there(kept) == []


def test_a_link_is_removed_and_what_it_leads_to_stays(kept: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (kept / ("9" * 24)).symlink_to(tmp_path / "photos")
    assert cli("cache", "clear").exit_code == 0
    assert there(kept) == [] and (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"
