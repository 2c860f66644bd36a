"""`visionkit submit` for planet: the sample submission decides the rows, each of which gets an answer."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import Cli, noise
from inference.stored import stored_run
from PIL import Image

import visionkit
from visionkit.inference.bundle import write_description
from visionkit.runs import Run

NAMES = ["test_10", "file_0", "test_2"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three test chips in CMYK, and a sample submission that asks for them in an order of its own."""
    folder = tmp_path / "planet"
    for number, name in enumerate(NAMES):
        place = folder / ("test-jpg" if name.startswith("test") else "test-jpg-additional")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number, 40, 40)).convert("CMYK").save(place / f"{name}.jpg")
    write_sample(folder, NAMES)
    return folder


def write_sample(folder: Path, names: list[str], header: str = "image_name,tags") -> None:
    rows = [header, *(f"{name},primary clear" for name in names)]
    (folder / "sample_submission_v2.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def run(cli: Cli, data: Path) -> Run:
    return stored_run(Path("run"), "multi-label", data)


def rows(file: str = "run/submission.csv") -> list[list[str]]:
    with open(file, newline="") as opened:
        return list(csv.reader(opened))


def test_rows_are_those_of_the_sample(cli: Cli, run: Run, data: Path) -> None:
    """In its order, with the tags that the bundle's decision chooses; other images are left out."""
    Image.fromarray(noise(9, 40, 40)).save(data / "test-jpg" / "test_3.jpg")
    result = cli("submit", "run")
    assert result.exit_code == 0, result.output
    assert "rows       3, in the order of " in result.output
    assert "left out   1 image without a row in sample_submission_v2.csv" in result.output
    header, *answers = rows()
    assert header == ["image_name", "tags"] and [name for name, _ in answers] == NAMES
    model = visionkit.load("run", device="cpu")
    for name, tags in answers:
        (image,) = data.rglob(f"{name}.jpg")
        assert tags.split() == list(model.predict(image).tags)
    entry = json.loads(Path("run/run.json").read_text())["submissions"][0]
    assert entry["file"] == "submission.csv" and entry["rows"] == 3 and entry["uploads"] == []


def test_the_stored_decision_counts(cli: Cli, run: Run) -> None:
    """No tag at all is an answer; the expected F2 always gives one."""
    model = visionkit.load("run", device="cpu")
    write_description(model.folder, model.description.replaced(thresholds=1.0))
    assert cli("submit", "run").exit_code == 0
    assert {tags for _, tags in rows()[1:]} == {""}
    write_description(model.folder, model.description.replaced(decision="expected-f2"))
    assert cli("submit", "run", "--out", "other.csv").exit_code == 0
    assert all(tags for _, tags in rows("other.csv")[1:])


def test_an_image_for_every_row(cli: Cli, run: Run, data: Path) -> None:
    write_sample(data, ["test_2", "test_5", "file_0", "file_7", "test_10", "test_6"])
    result = cli("submit", "run")
    assert result.exit_code == 1
    assert "row 3: there is no test image for 'test_5', nor for 2 more of its 6 rows." in result.output
    assert "visionkit data planet --test" in result.output
    assert not Path("run/submission.csv").exists() and "submissions" not in Run.read(Path("run")).info


WRONG = {
    "columns in another order": ("tags,image_name", NAMES, "has the columns tags, image_name, and the"),
    "another column": ("image_name,tags,more", [], "has the columns image_name, tags, more"),
    "another competition's": ("id,label", NAMES, "image_name"),
    "no rows": ("image_name,tags", [], "no rows below the header"),
    "a row twice": ("image_name,tags", [*NAMES, "file_0"], "row 5: 'file_0' is already in row 3"),
}


@pytest.mark.parametrize(("header", "names", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_sample(cli: Cli, run: Run, data: Path, header: str, names: list[str], words: str) -> None:
    write_sample(data, names, header)
    result = cli("submit", "run")
    assert result.exit_code == 1 and words in result.output and "sample_submission_v2.csv" in result.output
    assert not Path("run/submission.csv").exists()


def test_without_a_sample(cli: Cli, run: Run, data: Path) -> None:
    (data / "sample_submission_v2.csv").unlink()
    result = cli("submit", "run")
    assert result.exit_code == 0 and "there is no sample_submission_v2.csv: all 3 images" in result.output
    assert [name for name, _ in rows()[1:]] == ["test_2", "test_10", "file_0"]


def test_images_elsewhere_with_the_sample_above_them(cli: Cli, run: Run, data: Path, tmp_path: Path) -> None:
    data.rename(tmp_path / "moved")
    gone = cli("submit", "run")
    assert gone.exit_code == 1 and "is no longer there" in gone.output and "--data" in gone.output
    write_sample(tmp_path / "moved", ["test_10", "test_2"])
    assert cli("submit", "run", "--data", tmp_path / "moved" / "test-jpg").exit_code == 0
    assert [name for name, _ in rows()[1:]] == ["test_10", "test_2"]


def test_clip_is_for_probabilities(cli: Cli, run: Run) -> None:
    result = cli("submit", "run", "--clip", 0.1)
    assert result.exit_code == 2 and "--clip" in result.output
    result = cli("submit", "run", "--message", "x")
    assert result.exit_code == 2 and "--message goes with --upload" in result.output
    assert not Path("run/submission.csv").exists()
