"""`visionkit evaluate` on small trained runs: the training's own figures, files, and what is stored."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FAST, Cli, train_fast
from PIL import Image
from typer.testing import Result

import visionkit

pytestmark = pytest.mark.usefixtures("unpainted")


def run_info() -> dict[str, Any]:
    info: dict[str, Any] = json.loads(Path("run/run.json").read_text())
    return info


def bundle() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(Path("run/model/model.json").read_text())
    return said


def evaluated(cli: Cli, *options: object) -> dict[str, Any]:
    """What `--json` prints, on standard output alone."""
    result = cli("evaluate", "run", *options, "--json", "--workers", 0)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert all(word in line for word in words), line


def rows(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def state() -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}


def in_class_folders(photos: Path, root: Path, *names: str) -> None:
    """Copy the photos into `root/BREED`, with other pixels, so that they are other images."""
    for photo in sorted(photos.iterdir()):
        breed = photo.name.rsplit("_", 1)[0]
        if names and breed not in names:
            continue
        (root / breed).mkdir(parents=True, exist_ok=True)
        with Image.open(photo) as opened:
            opened.rotate(180).save(root / breed / photo.name)


def test_one_label(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    trained = run_info()["metrics"]
    found = evaluated(cli)
    figures = {name: each["value"] for name, each in found["figures"].items()}
    assert figures["accuracy"] == pytest.approx(trained["accuracy"], abs=1e-6)
    assert figures["error_rate"] == pytest.approx(trained["error_rate"], abs=1e-6)
    assert (found["on"], found["images"], found["own_data"]) == ("valid", 4, True)
    assert all(each["low"] <= each["high"] for each in found["figures"].values())
    folder = Path(found["evaluation"])
    assert folder == Path("run/evaluation/valid")
    assert {file.name for file in folder.iterdir()} == {
        "metrics.json", "per_class.csv", "confusion.csv", "per_class.png", "confusion.png", "reliability.png",
    }  # fmt: skip
    saved = json.loads((folder / "metrics.json").read_text())
    assert {**saved, "evaluation": str(folder), "created": None} == {**found, "created": None}
    assert [row["class"] for row in rows(f"{folder}/per_class.csv")] == bundle()["vocab"]
    counts = [list(map(int, list(row.values())[1:])) for row in rows(f"{folder}/confusion.csv")]
    assert np.sum(counts) == 4 and np.trace(counts) == round(4 * figures["accuracy"])
    assert run_info()["evaluations"]["valid"]["figures"] == found["figures"]

    before = state()
    shown = cli("evaluate", "run", "--no-save", "--on", "train", "--workers", 1)
    assert shown.exit_code == 0, shown.output
    assert "train: 20 images" in shown.stdout and "accuracy" in shown.stdout and "95 %" in shown.stdout
    assert "evaluation/" not in shown.stdout
    probe = evaluated(cli, "--no-save", "--calibrate")
    assert probe["evaluation"] is None and probe["bundle"]["stored"] is False
    assert state() == before, "--no-save leaves everything as it was"

    stored = cli("evaluate", "run", "--calibrate", "--tta", "--workers", 0)
    assert stored.exit_code == 0, stored.output
    assert "fitted on one half" in stored.stdout and "stored in model.json" in stored.stdout
    assert "with flips" in stored.stdout and "run/evaluation/valid-2" in stored.stdout
    assert {name: content for name, content in state().items() if "evaluation/valid/" in name} == {
        name: content for name, content in before.items() if "evaluation/valid/" in name
    }, "an older evaluation is left as it is"
    temperature = bundle()["temperature"]
    second = json.loads(Path("run/evaluation/valid-2/metrics.json").read_text())
    assert second["calibration"]["temperature"] == second["bundle"]["temperature"] == temperature
    assert second["calibration"]["images_of_second_half"] == 2 and second["tta"]["views"] == "flips"
    assert set(run_info()["evaluations"]) == {"valid", "valid-2"}
    again = evaluated(cli, "--no-save")
    assert again["temperature"] == temperature
    assert again["figures"]["accuracy"] == found["figures"]["accuracy"]
    assert again["figures"]["log_loss"]["value"] <= found["figures"]["log_loss"]["value"] + 1e-9

    refused(cli("evaluate", "run", "--on", "train", "--calibrate"), 2, "--calibrate", "knows these images")
    refused(cli("evaluate", "run", "--tune-thresholds"), 2, "--tune-thresholds", "multi-label only")
    refused(cli("evaluate", "run", "--on", "test"), 2, "--on test", "--data")
    refused(cli("evaluate", "run", "--tta", "scales"), 2, "--tta scales", "flips, dihedral, crops")
    refused(cli("evaluate", "run", "--within", "4"), 2, "--within", "keypoints only")
    refused(cli("evaluate", "run", "--workers", "many"), 2, "--workers many")
    refused(cli("evaluate", "run", "--data", "nowhere"), 2, "--data nowhere")
    refused(cli("evaluate", "run", "--data", pets, "--on", "valid"), 2, "--on", "--data")
    shutil.rmtree("run/evaluation")
    Path("run/evaluation").write_text("in the way")
    before = state()
    refused(cli("evaluate", "run", "--calibrate", "--workers", 0), 1, "evaluation", "cannot be written")
    assert state() == before, "what was fitted is stored with the rest, or not at all"
    Path("run/evaluation").unlink()
    pets.rename(pets.with_name("moved"))
    refused(cli("evaluate", "run"), 1, "no longer there", "--data")
    assert evaluated(cli, "--data", pets.with_name("moved"))["images"] == 24
    assert Path("run/evaluation/moved/metrics.json").is_file()


def test_test_folders_other_folders_and_unknown_classes(cli: Cli, pets: Path, tmp_path: Path) -> None:
    photos, data = pets / "images", tmp_path / "breeds"
    for part, numbers in (("train", "123456"), ("valid", "7"), ("test", "8")):
        for photo in photos.iterdir():
            breed, _, number = photo.stem.rpartition("_")
            if number in numbers:
                (data / part / breed).mkdir(parents=True, exist_ok=True)
                shutil.copy(photo, data / part / breed)
    options = ["--data", data, "--size", 32, *FAST, "--out", "run"]
    result = cli("folder", *options)
    assert result.exit_code == 0, result.output
    found = evaluated(cli, "--on", "test", "--tta", "crops")
    assert (found["on"], found["images"], found["tta"]["views"]) == ("test", 3, "crops")
    assert Path("run/evaluation/test/metrics.json").is_file()
    predictor = visionkit.load("run")
    tested = sorted((data / "test").rglob("*.jpg"))
    right = [answer.label == file.parent.name for answer, file in zip(predictor.predict(tested), tested)]
    assert found["figures"]["accuracy"]["value"] == pytest.approx(np.mean(right))

    in_class_folders(photos, tmp_path / "others")
    other = evaluated(cli, "--data", tmp_path / "others")
    assert (other["on"], other["images"], other["own_data"]) == ("others", 24, False)
    in_class_folders(photos, tmp_path / "one", "Sphynx")
    one = evaluated(cli, "--data", tmp_path / "one", "--no-save")
    assert [row["images"] for row in one["per_class"]] == [
        8 if "Sphynx" in row["class"] else 0 for row in one["per_class"]
    ]
    (tmp_path / "others" / "Sphynx").rename(tmp_path / "others" / "Spinks")
    refused(cli("evaluate", "run", "--data", tmp_path / "others"), 1, "'Spinks'", "Sphynx", "others")
    broken = next((tmp_path / "one" / "Sphynx").iterdir())
    broken.write_bytes(broken.read_bytes()[:200])
    refused(cli("evaluate", "run", "--data", tmp_path / "one"), 1, broken.name, "does not decode")


def test_tags(cli: Cli, planet: Path) -> None:
    assert train_fast(cli, "planet", planet, "--out", "run", "--valid-pct", 0.6).exit_code == 0
    trained = run_info()["metrics"]
    found = evaluated(cli, "--tta")
    for name in ("f2", "accuracy_multi"):
        assert found["figures"][name]["value"] == pytest.approx(trained[name], abs=1e-6)
    assert found["tta"]["views"] == "dihedral" and set(found["tta"]["figures"]) == set(found["figures"])
    assert {"thresholds.png", "reliability.png", "per_class.png", "per_class.csv"} <= {
        file.name for file in Path("run/evaluation/valid").iterdir()
    }
    assert [row["tag"] for row in rows("run/evaluation/valid/per_class.csv")] == ["clear", "haze", "primary"]
    assert bundle()["thresholds"] == 0.2, "nothing is stored without being asked for"

    shown = cli("evaluate", "run", "--tune-thresholds", "--workers", 0)
    assert shown.exit_code == 0, shown.output
    assert "fitted on one half; F2 on the other (6 images)" in shown.stdout
    assert "stored in model.json, fitted on all images" in shown.stdout
    tuning = json.loads(Path("run/evaluation/valid-2/metrics.json").read_text())["tuning"]
    assert set(tuning["f2_of_second_half"]) == {"present", "common", "per_tag", "expected_f2"}
    best = max(("present", "common", "per_tag"), key=lambda name: tuning["f2_of_second_half"][name]["value"])
    assert tuning["chosen"] == best and bundle()["thresholds"] == tuning["thresholds"]
    assert set(tuning["per_tag"]) == {"clear", "haze", "primary"}
    tuned = evaluated(cli, "--no-save")
    assert tuned["thresholds"] == tuning["thresholds"]

    decided = cli("evaluate", "run", "--decision", "expected-f2", "--calibrate", "--workers", 0)
    assert decided.exit_code == 0, decided.output
    assert "decision expected-f2" in decided.stdout and "moved with the temperature" in decided.stdout
    said = bundle()
    assert said["decision"] == "expected-f2" and said["temperature"] > 0
    after = evaluated(cli, "--no-save")["figures"]
    assert after["f2"] == after["f2_expected"], "the model decides so from now on"
    answers = visionkit.load("run").predict(sorted((planet / "train-jpg").iterdir()))
    assert all(answer.tags for answer in answers)

    table = planet / "train_v2.csv"
    other = planet.with_name("other")
    shutil.copytree(planet, other)
    table = other / "train_v2.csv"
    table.write_text(table.read_text().replace("haze", "fog"))
    refused(cli("evaluate", "run", "--data", other), 1, "'fog'", "clear", "haze")


def test_rows_of_test_images(cli: Cli, planet: Path, tmp_path: Path) -> None:
    rows = ["file,labels,part"]
    for number in range(20):
        part = ("train", "valid", "test", "train")[number % 4]
        labels = f"{'bright' if number % 2 else 'dark'}|{'odd' if number % 3 else 'even'}"
        rows.append(f"train_{number}.jpg,{labels},{part}")
    (planet / "labels.csv").write_text("\n".join(rows) + "\n")
    (planet / "train_v2.csv").unlink()
    result = cli("csv", "--data", planet, "--size", 32, *FAST, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "5 rows of test images" in result.stdout
    found = evaluated(cli, "--on", "test")
    assert found["images"] == 5 and [row["tag"] for row in found["per_class"]] == [
        "bright",
        "dark",
        "even",
        "odd",
    ]
    assert [row["images"] for row in found["per_class"]] == [0, 5, 2, 3]


def test_masks(cli: Cli, camvid: Path) -> None:
    assert train_fast(cli, "camvid", camvid, "--out", "run").exit_code == 0
    trained = run_info()["metrics"]
    found = evaluated(cli, "--tta", "--bs", 1)
    for name in ("pixel_accuracy", "mean_iou"):
        assert found["figures"][name]["value"] == pytest.approx(trained[name], abs=1e-6)
    assert list(found["figures"]) == ["pixel_accuracy", "mean_iou", "mean_dice", "mean_boundary_f1"]
    assert found["tta"]["views"] == "flips"
    by_code = {row["code"]: row for row in found["per_class"]}
    assert list(by_code) == ["Sky", "Road", "Car", "Void"] and by_code["Void"]["iou"] is None
    counts = np.array(
        [list(row.values())[1:] for row in rows("run/evaluation/valid/confusion.csv")], dtype=int
    )
    assert counts[3].sum() == 0 and counts.sum() == 2 * (48 - 2) * 36
    assert np.trace(counts) / counts.sum() == pytest.approx(found["figures"]["pixel_accuracy"]["value"])
    assert evaluated(cli, "--tta", "scales", "--no-save")["tta"]["views"] == "scales"
    refused(cli("evaluate", "run", "--calibrate"), 2, "--calibrate", "segmentation")

    other = camvid.with_name("other")
    shutil.copytree(camvid, other)
    codes = ["Void", "Sky", "Road", "Car"]  # in another order, and without a list of validation images
    (other / "codes.txt").write_text("\n".join(codes) + "\n")
    (other / "valid.txt").write_text("frame_8.png\nframe_9.png\n")
    for mask in (other / "labels").iterdir():
        with Image.open(mask) as opened:
            values = np.asarray(opened)
        Image.fromarray(((values + 1) % 4).astype(np.uint8)).save(mask)
    whole = evaluated(cli, "--data", camvid, "--no-save")
    renumbered = evaluated(cli, "--data", other, "--no-save")
    assert whole["images"] == 10 and renumbered["figures"] == whole["figures"]
    (other / "codes.txt").write_text("Void\nSky\nStreet\nCar\n")
    refused(cli("evaluate", "run", "--data", other), 1, "'Street'", "Road")


def test_points(cli: Cli, heads: Path) -> None:
    result = cli("headpose", "--data", heads, "--size", 48, *FAST, "--out", "run")
    assert result.exit_code == 0, result.output
    found = evaluated(cli, "--tta", "--within", "3,1000")
    assert found["figures"]["pixel_error"]["value"] == pytest.approx(
        run_info()["metrics"]["pixel_error"], abs=1e-5
    )
    assert found["figures"]["within_1000_px"] == {"value": 1, "low": 1, "high": 1}
    assert found["tta"]["views"] == "flips" and found["per_class"][0]["point"] == "centre of the head"
    assert {"errors.png", "per_class.png"} <= {file.name for file in Path("run/evaluation/valid").iterdir()}
    assert not Path("run/evaluation/valid/confusion.csv").exists()
    everyone = evaluated(cli, "--data", heads, "--no-save")
    assert everyone["images"] == 16
    refused(cli("evaluate", "run", "--within", "near"), 2, "--within near")


def test_a_run_without_a_model(cli: Cli) -> None:
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps({"name": "run", "status": "failed", "task": "single-label"}))
    refused(cli("evaluate", "run"), 1, "no model", "failed")
    refused(cli("evaluate", "nothing"), 2, "'nothing'")
