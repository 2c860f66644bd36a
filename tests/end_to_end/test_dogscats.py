"""The dogscats recipe through the command line: layouts, subsets, and what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from conftest import FAST, Cli

from visionkit.data.dataset import Dataset
from visionkit.data.splits import relative_name
from visionkit.registry import get_recipe

pytestmark = pytest.mark.usefixtures("unpainted")

recipe = get_recipe("dogscats")
SMALL = ["--size", 32, *FAST]


def split() -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {"train": [], "valid": []}
    with open("run/split.csv", newline="") as file:
        for row in csv.DictReader(file):
            parts[row["part"]].append(row["image"])
    return parts


def test_train_and_every_utility(cli: Cli, dogscats: Path) -> None:
    result = cli("dogscats", "--data", dogscats, *SMALL, "--out", "run")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["data"]["classes"] == {"cat": 12, "dog": 12}
    assert json.loads(Path("run/model/model.json").read_text())["vocab"] == ["cat", "dog"]
    for stem in ("balance", "test", "confusion", "worst"):
        assert Path(f"run/plots/{stem}.png").is_file()
    options = ["--data", dogscats, *SMALL]
    assert cli("show", "dogscats", *options, "--out", "sheet.png").exit_code == 0
    assert cli("lr-find", "dogscats", *options).exit_code == 0
    assert cli("check", "dogscats", "--data", dogscats).exit_code == 0
    assert cli("export", "run", "--to", "fastai").exit_code == 0


def test_a_subset(cli: Cli, dogscats: Path) -> None:
    result = cli("dogscats", "--data", dogscats, *SMALL, "--subset", 10, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "8 training and 2 validation images" in result.output
    assert "--subset" not in result.output
    chosen = split()
    kinds = Counter(Path(name).name[:3] for names in chosen.values() for name in names)
    assert kinds == {"cat": 5, "dog": 5}
    again = Dataset.find(recipe, recipe.resolved(subset=10), dogscats)
    assert [relative_name(again.images[place], dogscats) for place in again.valid] == chosen["valid"]
    assert cli("submit", "run").exit_code == 0, "the run is read back"


def test_a_subset_larger_than_the_set(cli: Cli, dogscats: Path) -> None:
    result = cli("dogscats", "--data", dogscats, *SMALL, "--subset", 4000, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "all 24 photos: --subset 4,000 asks for more" in result.output
    for photo in (dogscats / "train").glob("cat.?.jpg"):
        photo.unlink()
    unbalanced = cli("dogscats", "--data", dogscats, *SMALL, "--subset", 10)
    assert unbalanced.exit_code == 1 and "only 2 of cats. Ask for 4" in unbalanced.output


@pytest.mark.parametrize(("subset", "message"), [(0, "greater than or equal to 2"), (9, "a multiple of 2")])
def test_a_subset_that_cannot_be_halved(cli: Cli, dogscats: Path, subset: int, message: str) -> None:
    result = cli("dogscats", "--data", dogscats, *SMALL, "--subset", subset)
    assert result.exit_code == 2
    assert f"--subset: '{subset}' is not allowed" in result.output and message in result.output
    assert not Path("runs").exists()


def test_the_layout_of_fastai(cli: Cli, dogscats: Path) -> None:
    """`valid/` validates; with a subset, which is drawn from both, a random part does."""
    for photo in list((dogscats / "train").iterdir()):
        part = "valid" if photo.name.split(".")[1] in ("3", "7") else "train"
        folder = dogscats / part / f"{photo.name[:3]}s"
        folder.mkdir(parents=True, exist_ok=True)
        photo.rename(folder / photo.name)
    (dogscats / "test").rename(dogscats / "test1")
    assert cli("dogscats", "--data", dogscats, *SMALL, "--out", "run").exit_code == 0
    assert sorted(split()["valid"]) == [
        f"valid/{kind}s/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in (3, 7)
    ]
    assert Path("run/plots/test.png").is_file()
    assert len(Dataset.find(recipe, recipe.resolved(subset=20), dogscats).valid) == 4


def test_a_name_that_says_nothing(cli: Cli, dogscats: Path) -> None:
    (dogscats / "train" / "cat.3.jpg").rename(dogscats / "train" / "kitten.jpg")
    result = cli("dogscats", "--data", dogscats, *SMALL)
    assert result.exit_code == 1 and "kitten.jpg" in result.output and "Traceback" not in result.output
    Path("skip.txt").write_text("train/kitten.jpg\n")
    assert cli("dogscats", "--data", dogscats, *SMALL, "--skip", "skip.txt", "--out", "run").exit_code == 0


@pytest.mark.parametrize("option", ["--subset", "--arch"])
def test_help(cli: Cli, option: str) -> None:
    assert option in cli("dogscats", "--help").output
