"""`visionkit submit --upload`: what is handed in, what is refused, and what run.json says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cli, noise
from inference.stored import stored_run
from PIL import Image
from sources.kaggle_server import KEY, SLUG, Kaggle, kaggle_server

from visionkit.inference.bundle import write_description
from visionkit.inference.bundle_files import read_description
from visionkit.runs import Run

PAGE = f"https://www.kaggle.com/competitions/{SLUG}/submissions"


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        yield kaggle


@pytest.fixture
def run(tmp_path: Path) -> Run:
    for number in range(3):
        (tmp_path / "data" / "test-jpg").mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number, 32, 32)).save(tmp_path / "data" / "test-jpg" / f"test_{number}.jpg")
    return stored_run(tmp_path / "run", "multi-label", tmp_path / "data")


@pytest.mark.slow
def test_written_and_handed_in(kaggle: Kaggle, run: Run) -> None:
    """A refusal leaves the file, which a further call hands in without looking at an image again."""
    kaggle.errors = {"CreateSubmission": [(403, "Accept the rules")]}
    work = run.path.parent
    refused = kaggle.visionkit(work, "submit", "run", "--upload", "--message", "a try", **KEY)
    assert refused.returncode == 1 and "Accept the rules" in refused.stderr
    assert "Traceback" not in refused.stderr and refused.stdout == ""
    written = (run.path / "submission.csv").read_bytes()
    assert Run.read(run.path).info["submissions"][0]["uploads"] == []

    kaggle.errors = {}
    for image in (work / "data" / "test-jpg").iterdir():
        image.unlink()
    done = kaggle.visionkit(work, "submit", "run", "--upload", "--message", "a try", **KEY)
    assert done.returncode == 0 and "uploaded as it is" in done.stderr, done.stderr
    assert done.stdout == "run/submission.csv\n"
    assert "Kaggle     Successfully submitted to the competition" in done.stderr and PAGE in done.stderr
    assert list(kaggle.uploaded.values()) == [written]
    (entered,) = kaggle.entered
    assert entered["competitionName"] == SLUG and entered["submissionDescription"] == "a try"
    (entry,) = Run.read(run.path).info["submissions"]
    (told,) = entry["uploads"]
    assert told["message"] == "a try" and told["answer"].startswith("Successfully submitted") and told["when"]


def test_only_what_this_model_wrote_is_handed_in(cli: Cli, run: Run) -> None:
    assert cli("submit", run.path).exit_code == 0
    description = read_description(run.path / "model")
    write_description(run.path / "model", description.replaced(decision="expected-f2"))
    changed = cli("submit", run.path, "--upload")
    assert changed.exit_code == 1 and "how it decides, has changed" in changed.output
    write_description(run.path / "model", description)
    with (run.path / "submission.csv").open("a") as file:
        file.write("test_9,clear\n")
    edited = cli("submit", run.path, "--upload")
    assert edited.exit_code == 1 and "is not as visionkit submit wrote it" in edited.output


def test_samples_stay_at_home(cli: Cli, run: Run) -> None:
    run.update(synthetic=True)
    result = cli("submit", run.path, "--upload")
    assert result.exit_code == 2 and "drawn sample data" in result.output
    assert not (run.path / "submission.csv").exists()
