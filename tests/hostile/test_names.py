"""Hostile names of files and folders: told so that they do no harm, and never a way out of the output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.image_cases import answer_of
from hostile.pictures import drawn, encoded
from hostile.watch import time_limit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.checks.report import check_folder
from visionkit.data.class_folders import class_folders
from visionkit.data.images import image_files
from visionkit.data.problems import gathering
from visionkit.errors import VisionkitError
from visionkit.progress import Silence

NASTY = (
    *(
        "line\nbreak",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\u202egpj.exe",
        "-rf",
        "=cmd()",
        "<script>alert(1)<",
    ),
    *(
        "[bold]markup[bold]",
        ":smile:",
        "$x^{",
        "%s{0}",
        "a" * 250,
        "x..",
        "con",
        " ",
        "\u2028",
        "*?[",
        "'\"`",
        "é",
    ),
)
BYTES = (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80")
"""Names that are not UTF-8."""
PIXEL = encoded(Image.new("RGB", (8, 8)), "PNG")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal may act on, but for tabs and line ends."""


def save(path: bytes | Path, seed: int) -> None:
    picture = drawn(width=36 + seed % 5, height=32).point(lambda value: (value * (seed % 7 + 1)) % 256)
    with open(path, "wb") as file:
        file.write(encoded(picture.rotate(seed * 17 % 90), "PNG"))


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """Class folders with nasty names, each with nasty names in it."""
    root = tmp_path / "data"
    seed = 0
    for label in NASTY:
        (root / label).mkdir(parents=True)
        for name in NASTY[:6]:
            seed += 1
            save(root / label / f"{name}.png", seed)
    return root


name_bytes = st.binary(min_size=1, max_size=200).filter(
    lambda name: b"/" not in name and b"\0" not in name and not name.startswith(b".")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(name_bytes, min_size=1, max_size=4, unique=True))
def test_any_file_name_is_listed_or_told(names: list[bytes], tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "any")
    os.makedirs(root, exist_ok=True)
    for name in os.listdir(root):
        os.unlink(os.path.join(root, name))
    for name in names:
        with open(os.path.join(root, name + b".png"), "wb") as file:
            file.write(PIXEL)
    folder = Path(os.fsdecode(root))
    with gathering() as gathered, time_limit():
        listed = answer_of(lambda: image_files(folder))
    assert len(listed or []) + len(gathered) >= len(names)
    report = answer_of(lambda: check_folder(folder, None, Silence()))
    if report is not None:
        text = json.dumps(report.as_json())
        assert text.isascii() and not CONTROL.search(text.replace("\n", ""))


def test_folders_of_classes_may_have_any_name(nasty: Path) -> None:
    found = class_folders(nasty)
    assert set(found.labels.values()) == set(NASTY)
    assert all(image.is_file() and image.is_relative_to(nasty) for image in found.labels)
    for name in BYTES:
        folder = os.path.join(os.fsencode(nasty), name)
        os.mkdir(folder)
        save(os.path.join(folder, b"x.png"), 1)
        with pytest.raises(VisionkitError, match="not UTF-8"):
            class_folders(nasty)
        os.unlink(os.path.join(folder, b"x.png"))
        os.rmdir(folder)


def visionkit(home: Path, *arguments: object, timeout: int = 240) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    command = [sys.executable, "-m", "visionkit", *map(os.fspath, map(str, arguments))]
    home.mkdir(exist_ok=True)
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=timeout)


def check_output(done: subprocess.CompletedProcess[bytes], codes: tuple[int, ...]) -> str:
    """Both outputs, in which nothing acts on a terminal and no traceback is."""
    text = (done.stdout + done.stderr).decode()
    assert done.returncode in codes, text
    assert "Traceback" not in text and "unexpected " not in text, text
    assert not CONTROL.search(text), CONTROL.findall(text)
    return text


def everything(place: Path) -> set[str]:
    return {str(path) for path in place.rglob("*")}


@pytest.mark.slow
def test_a_check_of_nasty_names_is_harmless_on_a_terminal(nasty: Path, tmp_path: Path) -> None:
    (nasty / NASTY[1] / f"{NASTY[2]}.png").write_bytes(b"no image")
    before = everything(nasty)
    done = visionkit(tmp_path / "home", "check", "folder", "--data", nasty)
    text = check_output(done, (1,))
    assert "not an image" in text and "\\x1b]0;title" in text
    assert everything(nasty) == before


def _class_that_breaks(root: Path) -> None:
    (root / NASTY[0] / f"{NASTY[1]}.png").write_bytes(PIXEL[:30])


def _not_utf8(root: Path) -> None:
    save(os.path.join(os.fsencode(root / NASTY[0]), BYTES[1] + b".png"), 1)


def _folder_not_utf8(root: Path) -> None:
    folder = os.path.join(os.fsencode(root), BYTES[0])
    os.mkdir(folder)
    save(os.path.join(folder, b"x.png"), 1)


def _loose(root: Path) -> None:
    save(root / f"{NASTY[2]}.png", 1)


def _broken_link(root: Path) -> None:
    (root / NASTY[3] / f"{NASTY[4]}.png").unlink()
    (root / NASTY[3] / f"{NASTY[4]}.png").symlink_to("/nowhere/\x1b[2J")


def _bomb(root: Path) -> None:
    from hostile.pictures import png_header

    (root / NASTY[5] / "bomb.png").write_bytes(png_header(60_000, 60_000))


FAULTS = {
    "truncated": (_class_that_breaks, "cut off"),
    "name not UTF-8": (_not_utf8, "not UTF-8"),
    "folder not UTF-8": (_folder_not_utf8, "not UTF-8"),
    "image without a class": (_loose, "in no folder of a class"),
    "broken link": (_broken_link, "no such file"),
    "bomb": (_bomb, "safety limit"),
}
FAST = ["--arch", "squeezenet1_1", "--no-pretrained", "--size", "32", "--epochs", "1", "--freeze-epochs", "0"]
FAST += ["--bs", "16", "--workers", "0", "--precision", "fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_refuses_nasty_data_in_one_message(fault: str, nasty: Path, tmp_path: Path) -> None:
    spoil, words = FAULTS[fault]
    spoil(nasty)
    text = check_output(visionkit(tmp_path / "home", "folder", "--data", nasty, *FAST), (1, 2))
    assert words in text and sum("Error:" in line for line in text.splitlines()) == 1
    assert not (tmp_path / "home" / "runs").exists()
    checked = visionkit(tmp_path / "home", "check", "folder", "--data", nasty)
    assert words in check_output(checked, (1,))


@pytest.mark.slow
def test_a_training_on_nasty_names_ends_well_and_writes_nowhere_else(nasty: Path, tmp_path: Path) -> None:
    before = everything(nasty)
    home = tmp_path / "home"
    check_output(visionkit(home, "folder", "--data", nasty, *FAST), (0,))
    assert everything(nasty) == before
    assert {path.name for path in tmp_path.iterdir()} == {"data", "home"}
    assert {path.name for path in home.iterdir()} <= {"runs", ".visionkit", ".cache", ".config"}
    [run] = (home / "runs").iterdir()
    asked = visionkit(home, "predict", "last", nasty / NASTY[1])
    text = check_output(asked, (0,))
    assert "\\x1b[31mred" in text
    check_output(visionkit(home, "runs"), (0,))
    assert all(path.is_relative_to(run) for path in run.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"image,label\n\x1b]0;x\x07.png,\x1b[31mred\n", "images"),
        ("t.csv", b"image,label\n../../etc/passwd.png,x\nx.png,\x1b[31my\n", "outside"),
        ("t.csv", b"image,label\nx.png,\xff\n", "UTF-8"),
        ("t.csv", b'image,label\nx.png,"open\n', "quote"),
        ("t.csv", b"\0" * 5_000, "NUL"),
        ("t.csv", b"", "empty"),
    ],
)
def test_nasty_tables_are_refused_in_one_message(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    save(root / "x.png", 1)
    (root / name).write_bytes(content)
    for command in (("csv", "--data", root, *FAST), ("check", "csv", "--data", root)):
        text = check_output(visionkit(tmp_path / "home", *command), (1, 2))
        assert words in text
