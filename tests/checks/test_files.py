"""Faults of files are found by name in a drawn folder, and none in a clean one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checks.pictures import clean_folder, encoded, picture, save
from conftest import Cli
from PIL import Image

from visionkit.checks.report import check_folder
from visionkit.data.problems import Problem, Severity
from visionkit.errors import DataError
from visionkit.progress import Silence


def problems(folder: Path) -> list[Problem]:
    return check_folder(folder, None, Silence()).problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "data")


def test_a_clean_folder_has_no_problem(folder: Path) -> None:
    report = check_folder(folder, None, Silence())
    assert report.problems == [] and report.duplicates == [] and report.excluded() == []
    assert {key: report.counts[key] for key in ("images", "train", "valid", "classes")} == {
        "images": 30,
        "train": 24,
        "valid": 6,
        "classes": 2,
    }
    assert [(each.name, each.train, each.valid) for each in report.balance] == [
        ("cat", 12, 3),
        ("dog", 12, 3),
    ]


PHOTO = encoded(picture(100), "JPEG")
TURNED = Image.Exif()
TURNED[0x0112] = 6
PLANTED: dict[str, tuple[str, bytes, str, Severity]] = {
    "zero bytes": ("zero.jpg", b"", "empty file", "error"),
    "a web page": ("page.jpg", b"<html>404 Not Found</html>", "not an image", "error"),
    "cut JPEG": ("cut.jpg", PHOTO[:-500], "truncated", "error"),
    "cut PNG": ("cut.png", encoded(picture(100), "PNG")[:-500], "truncated", "error"),
    "broken head": ("head.jpg", PHOTO[:20], "damaged", "error"),
    "PNG as JPEG": ("odd.jpg", encoded(picture(100), "PNG"), "wrong ending", "warning"),
    "JPEG as PNG": ("odd.png", PHOTO, "wrong ending", "warning"),
    "CMYK": ("cmyk.jpg", encoded(picture(100).convert("CMYK"), "JPEG"), "CMYK", "note"),
    "16 bits": (
        "deep.png",
        encoded(Image.fromarray(np.asarray(picture(100).convert("L")).astype(np.uint16) * 257), "PNG"),
        "deep pixels",
        "warning",
    ),
    "fractions": ("float.tif", encoded(picture(100).convert("F"), "TIFF"), "deep pixels", "warning"),
    "palette": ("palette.png", encoded(picture(100).convert("P"), "PNG"), "palette", "note"),
    "alpha": ("alpha.png", encoded(picture(100).convert("RGBA"), "PNG"), "transparency", "note"),
    "black and white": ("bits.png", encoded(picture(100).convert("1"), "PNG"), "odd mode", "note"),
    "animated": (
        "moves.webp",
        encoded(picture(100), "WEBP", save_all=True, append_images=[picture(101)]),
        "animated",
        "warning",
    ),
    "EXIF": ("turned.jpg", encoded(picture(100), "JPEG", exif=TURNED), "EXIF rotation", "note"),
    "tiny": ("tiny.png", encoded(picture(100, 40, 20), "PNG"), "tiny", "warning"),
    "narrow": ("narrow.png", encoded(picture(100, 400, 60), "PNG"), "extreme shape", "warning"),
    "large": ("large.png", encoded(picture(100, 640, 512), "PNG"), "far larger", "note"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_found_by_name(what: str, folder: Path) -> None:
    name, content, kind, severity = PLANTED[what]
    planted = folder / "train" / "cat" / name
    planted.write_bytes(content)
    found = problems(folder)
    assert [(each.kind, each.severity, each.files) for each in found] == [(kind, severity, (planted,))]
    assert f"train/cat/{name}" in found[0].message
    assert check_folder(folder, None, Silence()).excluded() == ([planted] if severity == "error" else [])


def test_an_enormous_image_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visionkit.checks.files.ENORMOUS", 300_000)
    planted = folder / "train" / "dog" / "large.png"
    picture(100, 640, 512).save(planted)
    assert [(each.kind, each.files) for each in problems(folder)] == [("enormous", (planted,))]


def test_a_fault_of_many_files_is_one_line(folder: Path) -> None:
    for path in sorted(folder.glob("train/cat/*.jpg")):
        Image.open(path).convert("CMYK").save(path)
    (found,) = problems(folder)
    assert found.kind == "CMYK" and len(found.files) == 12
    assert found.message.startswith("12 images in CMYK")


def test_a_folder_of_tiny_images_is_only_noted(tmp_path: Path) -> None:
    for seed in range(20):
        picture(seed, 28, 28).save(tmp_path / f"{seed}.png")
    assert [(each.kind, each.severity) for each in problems(tmp_path)] == [("tiny", "note")]


def test_hidden_files_and_links_in_circles_are_left_out(folder: Path) -> None:
    (folder / "train" / ".hidden").mkdir()
    (folder / "train" / ".hidden" / "zero.jpg").touch()
    (folder / "train" / "._zero.jpg").touch()
    (folder / "train" / "round").symlink_to(folder, target_is_directory=True)
    assert check_folder(folder, None, Silence()).counts["images"] == 30
    assert problems(folder) == []


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        check_folder(tmp_path, None, Silence())
    with pytest.raises(DataError, match="no such folder"):
        check_folder(tmp_path / "gone", None, Silence())


def test_images_outside_of_classes_make_no_balance(folder: Path) -> None:
    save(folder / "train" / "stray.jpg", 200)
    report = check_folder(folder, None, Silence())
    assert report.balance == [] and report.counts["train"] == 25


@pytest.mark.parametrize(("recipe", "severity"), [("pets", "note"), ("camvid", "warning")])
def test_marks_count_where_trainings_do_not_turn_images(
    recipe: str, severity: str, cli: Cli, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(recipe)
    planted = next((folder / "images").iterdir())
    with Image.open(planted) as opened:
        opened.load()
        opened.save(planted, exif=TURNED)
    told = json.loads(cli("check", recipe, "--data", folder, "--json").stdout)
    (found,) = (each for each in told["problems"] if each["kind"] == "EXIF rotation")
    assert found["severity"] == severity and planted.name in found["message"]
    assert ("Turn the pixels themselves, and masks" in found["message"]) == (severity == "warning")
