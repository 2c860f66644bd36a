"""`visionkit submit`: the CSV file of a run, what is refused, and that nothing is written over."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from conftest import FAST, Cli, noise
from PIL import Image


@pytest.fixture
def run(cli: Cli, dogscats: Path) -> Path:
    """A finished training on the small photos, in the current folder."""
    result = cli("dogscats", "--data", dogscats, "--size", 32, *FAST, "--out", "run")
    assert result.exit_code == 0, result.output
    return Path("run")


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as opened:
        return list(csv.reader(opened))


@pytest.mark.usefixtures("unpainted")
def test_submission(cli: Cli, run: Path, dogscats: Path, tmp_path: Path) -> None:
    result = cli("submit", "run")
    assert result.exit_code == 0, result.output
    assert "run/submission.csv" in result.output
    header, *answers = rows(run / "submission.csv")
    assert header == ["id", "label"]
    assert [number for number, _ in answers] == ["1", "2", "10"]
    assert all(0.02 <= float(value) <= 0.98 for _, value in answers)

    before = (run / "submission.csv").read_bytes()
    again = cli("submit", "run")
    assert again.exit_code == 2 and "is there already" in again.output
    assert (run / "submission.csv").read_bytes() == before
    assert cli("submit", "last", "--out", "x.csv").exit_code == 2, "--out run lies outside of runs/"

    from visionkit.runs import Run
    from visionkit.sources.base import Store
    from visionkit.training.restore import restore

    learn, dataset = restore(Run.read(run), store=Store(tmp_path / "store"))
    dog = dataset.task.vocab(learn.dls).index("dog")
    assert cli("submit", "run", "--clip", 0, "--out", "plain.csv").exit_code == 0
    with learn.no_bar(), learn.no_logging():
        expected = [learn.predict(dogscats / "test" / f"{n}.jpg")[2][dog].item() for n in (1, 2, 10)]
    found = [float(value) for _, value in rows(Path("plain.csv"))[1:]]
    assert found == pytest.approx(expected, abs=1e-4)
    clipped = cli("submit", "run", "--clip", 0.49, "--out", "sub/clipped.csv")
    assert clipped.exit_code == 0, clipped.output
    assert {float(value) for _, value in rows(Path("sub/clipped.csv"))[1:]} <= {0.49, 0.51} | {
        value for value in found if 0.49 <= value <= 0.51
    }
    below_a_file = cli("submit", "run", "--out", "plain.csv/x.csv")
    assert below_a_file.exit_code == 1, below_a_file.output
    assert "plain.csv/x.csv: cannot be written" in below_a_file.output
    assert not list(Path().rglob("*.part"))


@pytest.mark.usefixtures("unpainted")
def test_test_photos_elsewhere(cli: Cli, run: Path, dogscats: Path, tmp_path: Path) -> None:
    (dogscats / "test").rename(tmp_path / "photos")
    missing = cli("submit", "run")
    assert missing.exit_code == 1 and "no test photos" in missing.output
    assert not (run / "submission.csv").exists()
    assert cli("submit", "run", "--data", tmp_path / "photos", "--out", "a.csv").exit_code == 0
    assert [number for number, _ in rows(Path("a.csv"))[1:]] == ["1", "2", "10"]
    nowhere = cli("submit", "run", "--data", tmp_path / "nowhere")
    assert nowhere.exit_code == 2 and "nowhere" in nowhere.output
    (tmp_path / "photos" / "2.jpg").write_bytes(b"no image")
    broken = cli("submit", "run", "--data", tmp_path / "photos", "--out", "b.csv")
    assert broken.exit_code == 1 and "2.jpg" in broken.output
    assert not Path("b.csv").exists()


@pytest.mark.parametrize("clip", ["0.5", "-0.1", "nan"])
@pytest.mark.usefixtures("unpainted")
def test_clip_out_of_range(cli: Cli, run: Path, clip: str) -> None:
    result = cli("submit", "run", f"--clip={clip}")
    assert result.exit_code == 2 and "--clip" in result.output
    assert not (run / "submission.csv").exists()


@pytest.mark.usefixtures("unpainted")
def test_a_recipe_without_a_competition(cli: Cli, pets: Path) -> None:
    assert cli("pets", "--data", pets, "--size", 32, *FAST, "--out", "run").exit_code == 0
    result = cli("submit", "run")
    assert result.exit_code == 2
    assert "no submission for the recipe pets, only for dogscats, planet" in result.output


@pytest.mark.usefixtures("unpainted")
def test_an_unfinished_run(cli: Cli, run: Path) -> None:
    (run / "model" / "model.safetensors").unlink()
    result = cli("submit", "run")
    assert result.exit_code == 1 and "model.safetensors" in result.output
    assert not (run / "submission.csv").exists()


def test_sheet_of_test_photos(cli: Cli, run: Path, dogscats: Path) -> None:
    with Image.open(run / "plots" / "test.png") as sheet:
        assert sheet.width > 300
    (run / "plots" / "test.png").unlink()
    (dogscats / "test" / "2.jpg").write_bytes(b"no image")
    assert cli("plot", "run").exit_code == 0, "a damaged test photo is no reason to stop"
    assert (run / "plots" / "test.png").is_file()
    (run / "plots" / "test.png").unlink()
    for photo in (dogscats / "test").iterdir():
        photo.unlink()
    assert cli("plot", "run").exit_code == 0
    assert not (run / "plots" / "test.png").exists(), "none without test photos"
    Image.fromarray(noise(1, 9, 9)).save(dogscats / "test" / "words.jpg")
    assert cli("plot", "run").exit_code == 0
