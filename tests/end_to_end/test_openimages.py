"""`visionkit openimages` from the choice of classes to the trained run, against a local server."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FAST, Cli
from http_host import http_host
from openimages_release import Release, photo_id

PAIR = ("Sandwich", "Traffic light")


@pytest.fixture
def release(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    """Ten photos of each class, and six with two boxes of each; the store is in the current folder."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Path("settings.ini").write_text("[paths]\ndata = store\n")
    with http_host() as host:
        release = Release(host)
        for number in range(20):
            release.put(number, PAIR[number % 2])
        for number in range(20, 26):
            release.put(number, *PAIR, *PAIR)
        release.serve()
        yield release


def options(release: Release, *classes: str) -> list[object]:
    chosen = classes or ("sandwich", "traffic light")
    choice = ["--metadata", release.address, "--classes", *chosen, "--min-side", 30]
    return [*choice, "--pause", 0.02, "--size", 32, *FAST]


@pytest.mark.slow
def test_from_classes_to_a_run_with_its_report(cli: Cli, release: Release) -> None:
    del release.host.files[f"/photos/{photo_id(0)}_o.jpg"]
    result = cli("openimages", *options(release), "--out", "run")
    assert result.exit_code == 0, result.output
    assert "26 photos: 25 fetched, 1 gone" in result.output
    assert "43 cut (Sandwich 21, Traffic light 22)" in result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["data"]["classes"] == {"Sandwich": 21, "Traffic light": 22}
    with open("run/report.csv", newline="") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*PAIR, "macro average", "weighted average"]
    assert sum(int(rows[name]["support"]) for name in PAIR) == info["data"]["valid"]
    weighted = (
        sum(int(rows[name]["support"]) * float(rows[name]["recall"]) for name in PAIR) / info["data"]["valid"]
    )
    assert weighted == pytest.approx(info["metrics"]["accuracy"], abs=1e-3)
    table = [line.split() for line in result.output.splitlines()]
    assert [
        "Traffic",
        "light",
        *(rows[PAIR[1]][name] for name in ("precision", "recall", "f1", "support")),
    ] in table

    with open("run/split.csv", newline="") as file:
        parts: dict[str, set[str]] = {}
        for row in csv.DictReader(file):
            image, part = row.values()
            parts.setdefault(Path(image).name[:16], set()).add(part)
    assert len(parts) == 25 and all(len(found) == 1 for found in parts.values()), "photos stay together"

    before = {file: file.read_bytes() for file in [Path("run/report.csv"), *Path("run/plots").iterdir()]}
    assert Path("run/plots/per_class.png") in before
    for file in before:
        file.unlink()
    assert cli("plot", "run").exit_code == 0
    assert all(file.read_bytes() == content for file, content in before.items())


@pytest.mark.slow
@pytest.mark.usefixtures("unpainted")
def test_everything_else_that_recipes_do(cli: Cli, release: Release) -> None:
    fetched = cli("check", "openimages", *options(release))
    assert fetched.exit_code == 0, fetched.output
    release.host.asked.clear()
    assert cli("show", "openimages", *options(release), "--out", "sheet.png").exit_code == 0
    rates = cli("lr-find", "openimages", *options(release), "--bs", 8, "--out", "rates.png")
    assert rates.exit_code == 0, rates.output
    (folder,) = Path("store/openimages/sets").glob("[!.]*")
    Path("skip.txt").write_text(f"Sandwich/{photo_id(0)}_1.jpg\n")
    result = cli(
        "openimages", *options(release), "--skip", "skip.txt", "--folds", 3, "--fold", 2, "--out", "run"
    )
    assert result.exit_code == 0, result.output
    again = cli("openimages", *options(release), "--skip", "skip.txt", "--split", "run", "--out", "again")
    assert again.exit_code == 0, again.output
    splits = [json.loads(Path(name, "run.json").read_text())["data"] for name in ("run", "again")]
    assert splits[0]["valid"] == splits[1]["valid"] and splits[0]["skipped"] == 1
    assert release.host.paths == [], "nothing is fetched twice"
    exported = cli("export", "run", "--to", "fastai", "--out", "model.pkl")
    assert exported.exit_code == 0, exported.output
    listed = cli("data", "--list")
    assert "openimages:sandwich+traffic light-" in listed.output and folder.name in listed.output


@pytest.mark.usefixtures("unpainted")
def test_any_folder_of_classes_serves_as_data(cli: Cli, pets: Path, tmp_path: Path) -> None:
    for file in (pets / "images").iterdir():
        target = tmp_path / "mine" / file.name.partition("_")[0] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    result = cli("openimages", "--data", tmp_path / "mine", "--size", 32, *FAST, "--out", "run")
    assert result.exit_code == 0, result.output
    assert set(json.loads(Path("run/run.json").read_text())["data"]["classes"]) == {
        "Abyssinian",
        "german",
        "Sphynx",
    }


def test_list_shows_the_classes_and_trains_nothing(cli: Cli, release: Release) -> None:
    result = cli("openimages", "--list", "--metadata", release.address, "--classes", "Food", "Hamburger")
    assert result.exit_code == 0, result.output
    assert "Open Images: 4 classes" in result.output and "Hamburger  ← chosen" in result.output
    assert not Path("runs").exists()
    assert sorted(release.host.paths) == [
        "/2018_04/bbox_labels_600_hierarchy.json",
        "/2018_04/class-descriptions-boxable.csv",
    ]
    assert cli("pets", "--list").exit_code == 2


@pytest.mark.parametrize(
    ("classes", "given", "message"),
    [
        (["Sandwich", "Hamburgr"], [], "Did you mean 'Hamburger'"),
        (["Sandwich"], [], "--classes: 'Sandwich' is not allowed: name two classes or more"),
        ([], ["--metadata", "nowhere"], "nowhere: there is no such folder"),
        ([], ["--margin", "-0.1"], "--margin"),
        ([], ["--margin", "2"], "--margin"),
        ([], ["--photos", "tiny"], "--photos"),
        ([], ["--pause", "0"], "--pause"),
    ],
)
def test_wrong_options_are_one_message(
    classes: list[str], given: list[str], message: str, cli: Cli, release: Release
) -> None:
    result = cli("openimages", *options(release, *classes), *given)
    assert result.exit_code == 2 and message in result.output
    assert "Traceback" not in result.output and not Path("runs").exists()


def test_sample_has_the_layout_of_a_cut_set(tmp_path: Path) -> None:
    from visionkit.recipes import openimages

    dls = openimages.dataloaders(sample=True, workers=0, device="cpu")
    assert list(dls.vocab) == ["Doughnut", "Hamburger", "Pizza", "Sandwich"]
    train, valid = ({Path(file).name[:16] for file in part.items} for part in (dls.train_ds, dls.valid_ds))
    assert train and valid and not train & valid
    folder = Path(dls.path)
    with (folder / "photos.csv").open(newline="") as file:
        assert {row["ImageID"] for row in csv.DictReader(file)} == train | valid
    assert dls.one_batch()[0].shape == (16, 3, 64, 64)
