"""Faults of masks are found by name in the data set of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checks.pictures import picture
from PIL import Image

from visionkit.checks.report import CheckReport, check_dataset
from visionkit.data.dataset import Dataset
from visionkit.data.problems import gathering
from visionkit.progress import Silence
from visionkit.registry import get_recipe

CODES = ["Sky", "Road", "Car", "Void"]
Check = Callable[[], CheckReport]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Ten frames of 80x64 px with masks of four codes, the last two for validation."""
    folder = tmp_path / "scenes"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "codes.txt").write_text("\n".join(CODES) + "\n")
    (folder / "valid.txt").write_text("frame_8.png\nframe_9.png\n")
    for number in range(10):
        picture(number).save(folder / "images" / f"frame_{number}.png")
        mask = np.zeros((64, 80), dtype=np.uint8)
        mask[30 + number :] = 1
        mask[40:50, 10:20] = 2
        mask[:, :2] = 3
        Image.fromarray(mask).save(folder / "labels" / f"frame_{number}_P.png")
    return folder


@pytest.fixture
def check(scenes: Path) -> Check:
    recipe = get_recipe("camvid")

    def checked() -> CheckReport:
        with gathering() as gathered:
            dataset = Dataset.find(recipe, recipe.resolved(), scenes)
        return check_dataset(dataset, gathered, scenes.parent / "memory.sqlite", Silence())

    return checked


def mask_of(scenes: Path, number: int) -> Path:
    return scenes / "labels" / f"frame_{number}_P.png"


def redraw(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    Image.fromarray(change(np.array(Image.open(path)))).save(path)


def test_clean_masks_have_no_problem(check: Check) -> None:
    report = check()
    assert report.problems == [] and report.excluded() == []
    assert report.recipe == "camvid"
    assert (report.counts["images"], report.counts["train"], report.counts["valid"]) == (10, 8, 2)
    assert [share.name for share in report.pixel_share] == CODES
    assert sum(share.share for share in report.pixel_share) == pytest.approx(1)
    assert sum(share.pixels for share in report.pixel_share) == 10 * 80 * 64
    assert report.pixel_share[2].pixels == 10 * 100
    assert (report.pixel_share[2].train, report.pixel_share[2].valid) == (8, 2)


def test_a_missing_mask(check: Check, scenes: Path) -> None:
    mask_of(scenes, 3).unlink()
    report = check()
    assert [(each.kind, each.severity) for each in report.problems] == [("missing mask", "error")]
    assert "labels/frame_3_P.png" in report.problems[0].message
    assert report.excluded() == [scenes / "images" / "frame_3.png"]


def test_a_mask_of_another_size(check: Check, scenes: Path) -> None:
    redraw(mask_of(scenes, 3), lambda mask: mask[:-1])
    (problem,) = check().problems
    assert (problem.kind, problem.severity) == ("mask size", "error")
    assert "80x63" in problem.message and "80x64" in problem.message and "frame_3_P.png" in problem.message


def test_codes_without_a_name(check: Check, scenes: Path) -> None:
    redraw(mask_of(scenes, 3), lambda mask: np.where(mask == 2, 9, mask).astype(np.uint8))
    report = check()
    (problem,) = report.problems
    assert (problem.kind, problem.severity) == ("code without a name", "error")
    assert "(9)" in problem.message and "frame_3_P.png" in problem.message
    assert [(share.code, share.name, share.train) for share in report.pixel_share][-1] == (9, "", 1)


def test_a_mask_that_is_a_picture_or_broken(check: Check, scenes: Path) -> None:
    picture(1).save(mask_of(scenes, 3))
    mask_of(scenes, 4).write_bytes(mask_of(scenes, 4).read_bytes()[:60])
    report = check()
    assert [each.kind for each in report.problems] == ["bad mask", "bad mask"]
    assert "mode RGB" in report.problems[0].message and "frame_4_P.png" in report.problems[1].message
    assert report.excluded() == [scenes / "images" / f"frame_{number}.png" for number in (3, 4)]


def test_a_mask_of_nothing_but_void(check: Check, scenes: Path) -> None:
    redraw(mask_of(scenes, 3), lambda mask: np.full_like(mask, 3))
    (problem,) = check().problems
    assert (problem.kind, problem.severity) == ("all void", "warning")
    assert "frame_3_P.png" in problem.message


def test_classes_that_never_occur(check: Check, scenes: Path) -> None:
    (scenes / "codes.txt").write_text("\n".join([*CODES, "Tram"]) + "\n")
    for number in range(8):
        redraw(mask_of(scenes, number), lambda mask: np.where(mask == 2, 1, mask).astype(np.uint8))
    found = {each.kind: each for each in check().problems}
    assert set(found) == {"class never occurs", "not in training"}
    assert "Tram" in found["class never occurs"].message and "Car" in found["not in training"].message


def test_orphaned_masks(check: Check, scenes: Path) -> None:
    orphan = scenes / "labels" / "frame_77_P.png"
    orphan.write_bytes(mask_of(scenes, 1).read_bytes())
    report = check()
    (problem,) = report.problems
    assert (problem.kind, problem.severity, problem.files) == ("orphaned mask", "warning", (orphan,))
    assert report.excluded() == []


def test_a_broken_image_is_told_once(check: Check, scenes: Path) -> None:
    (scenes / "images" / "frame_3.png").write_bytes(b"")
    (problem,) = check().problems
    assert problem.kind == "empty file"
