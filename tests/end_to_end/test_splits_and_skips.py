"""Splits and lists of skipped files, from the command line to the run folder and into another run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from conftest import FAST, Cli, train_fast

pytestmark = pytest.mark.usefixtures("unpainted")


def parts(run: Path) -> dict[str, str]:
    with (run / "split.csv").open(newline="") as file:
        return {row["image"]: row["part"] for row in csv.DictReader(file)}


def trained(cli: Cli, recipe: str, folder: Path, out: str, *options: object) -> Path:
    result = train_fast(cli, recipe, folder, "--out", out, *options)
    assert result.exit_code == 0, result.output
    return Path(out)


def test_a_stratified_split_is_recorded_and_given_to_another_run(cli: Cli, pets: Path) -> None:
    first = trained(cli, "pets", pets, "first", "--split", "stratified", "--valid-pct", "0.25")
    split = parts(first)
    held = sorted(name.rsplit("_", 1)[0] for name, part in split.items() if part == "valid")
    assert len(split) == 24 and len(held) == 6
    assert [held.count(breed) for breed in sorted(set(held))] == [2, 2, 2]
    second = trained(cli, "pets", pets, "second", "--split", "first", "--seed", "7")
    assert parts(second) == split
    shutil.rmtree("first")
    plotted = cli("plot", "second")  # by its own record of the split
    assert plotted.exit_code == 0, plotted.output


def test_folds_of_groups(cli: Cli, planet: Path) -> None:
    run = trained(cli, "planet", planet, "run", "--group-by", r"train_(\d)", "--folds", "3", "--fold", "2")
    by_part: dict[str, set[str]] = {"train": set(), "valid": set()}
    for name, part in parts(run).items():
        by_part[part].add(name.split("train_")[1][0])
    assert by_part["train"] | by_part["valid"] == set("0123456789")
    assert not by_part["train"] & by_part["valid"]


@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
def test_bad_files_are_refused_listed_and_skipped(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    images = {
        "pets": "images/Sphynx_{}.jpg",
        "planet": "train-jpg/train_{}.jpg",
        "camvid": "images/frame_{}.png",
    }
    cut, gone = (folder / images[name].format(number) for number in (3, 8))
    cut.write_bytes(cut.read_bytes()[:200])
    if name == "camvid":
        gone = folder / "labels" / "frame_8_P.png"
    if name != "pets":
        gone.unlink()
    before = sorted(folder.rglob("*"))
    refused = train_fast(cli, name, folder)
    assert refused.exit_code == 1 and not Path("runs").exists()
    checked = cli("check", name, "--data", folder, "--exclude", "bad.txt")
    assert checked.exit_code == 1, checked.output
    assert cut.name in checked.output
    assert sorted(folder.rglob("*")) == before
    listed = Path("bad.txt").read_text().splitlines()
    assert cut.relative_to(folder).as_posix() in listed
    run = trained(cli, name, folder, "run", "--skip", "bad.txt")
    assert cut.relative_to(folder).as_posix() not in parts(run)
    info = json.loads((run / "run.json").read_text())
    assert info["data"]["skipped"] == len(listed) > 0
    Path("bad.txt").unlink()
    assert cli("plot", "run").exit_code == 0
    clean = cli("check", name, "--data", folder, "--skip", "run/skip.txt", "--json")
    assert not [problem for problem in json.loads(clean.stdout)["problems"] if problem["severity"] == "error"]


@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
def test_the_first_image_may_be_the_bad_one(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    first = min(
        path for path in folder.rglob("*") if path.suffix in (".jpg", ".png") and "labels" not in str(path)
    )
    first.write_bytes(first.read_bytes()[:100])
    refused = train_fast(cli, name, folder)
    assert refused.exit_code == 1 and "not decode" in refused.output and "unexpected" not in refused.output
    checked = cli("check", name, "--data", folder)
    assert checked.exit_code == 1 and first.name in checked.output and "unexpected" not in checked.output


def test_the_own_list_of_camvid_may_name_skipped_frames(cli: Cli, camvid: Path) -> None:
    Path("skip.txt").write_text("images/frame_8.png\n")
    run = trained(cli, "camvid", camvid, "run", "--skip", "skip.txt")
    assert parts(run)["images/frame_9.png"] == "valid"
    assert "images/frame_8.png" not in parts(run)


def test_a_leak_is_said_before_the_training(cli: Cli, pets: Path) -> None:
    first = trained(cli, "pets", pets, "first")
    split = parts(first)
    valid = next(name for name, part in split.items() if part == "valid")
    train = next(name for name, part in split.items() if part == "train")
    shutil.copy(pets / valid, pets / train)
    result = train_fast(cli, "pets", pets, "--split", "first")
    assert result.exit_code == 0
    assert "1 validation images are training images too" in result.output and valid in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--skip", "nowhere.txt"], ["--skip nowhere.txt", "no such file"]),
        (["--split", "stratifed"], ["--split stratifed", "stratified"]),
        (["--fold", "3"], ["--fold 3", "--folds"]),
        (["--folds", "1"], ["--folds", "greater than or equal to 2"]),
    ],
)
def test_wrong_options(cli: Cli, pets: Path, options: list[str], words: list[str]) -> None:
    result = train_fast(cli, "pets", pets, *options)
    assert result.exit_code == 2, result.output
    assert all(word in result.output for word in words), result.output
    assert not Path("runs").exists()


def test_images_that_a_split_leaves_out_are_recorded_too(cli: Cli, pets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "listed"
    rows = ["image,label"]
    for number, photo in enumerate(sorted((pets / "images").iterdir())):
        part = ("train", "train", "valid", "test")[number % 4]
        (folder / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / part)
        rows.append(f"{part}/{photo.name},{photo.name.rsplit('_', 1)[0]}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    options = ["--size", 32, *FAST, "--split", "folder", "--folder", "."]
    result = cli("csv", "--data", folder, *options, "--out", "run")
    assert result.exit_code == 0, result.output
    recorded = parts(Path("run"))
    assert {name.split("/")[0]: part for name, part in recorded.items()} == {
        "train": "train",
        "valid": "valid",
        "test": "none",
    }
    plotted = cli("plot", "run")
    assert plotted.exit_code == 0, plotted.output
