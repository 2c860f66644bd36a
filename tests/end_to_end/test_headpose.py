"""The head pose recipe through the command line: train, plot again, show, lr-find, export, check, split."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FAST, Cli, noise
from PIL import Image

POSE = "1 0 0 \n0 1 0 \n0 0 1 \n\n{:.6f} {:.6f} {:.6f} \n"
OPTIONS = ["--size", "48", *FAST]


@pytest.fixture
def biwi(tmp_path: Path) -> Path:
    """Three persons with eight frames of 64x48 px each: a bright disc on noise is the head."""
    folder = tmp_path / "biwi"
    rows, columns = np.mgrid[0:48, 0:64] + 0.5
    for number, person in enumerate(("01", "02", "13")):
        (folder / person).mkdir(parents=True)
        (folder / person / "rgb.cal").write_text("52 0 32\n0 52 24\n0 0 1\n\n0 0 0 0\n")
        for frame in range(8):
            x, y = 10 + 6 * frame, 12 + 3 * ((frame + number) % 8)
            picture = noise(10 * number + frame, 64, 48) // 3
            picture[np.hypot(columns - x, rows - y) < 7] = 200 + 10 * number
            stem = folder / person / f"frame_{frame + 3:05d}"
            Image.fromarray(picture).save(f"{stem}_rgb.jpg")
            Path(f"{stem}_pose.txt").write_text(POSE.format((x - 32) * 900 / 52, (y - 24) * 900 / 52, 900))
    return folder


def run_info(run: str = "run") -> dict[str, object]:
    info: dict[str, object] = json.loads(Path(run, "run.json").read_text())
    return info


def test_training_and_everything_after_it(cli: Cli, biwi: Path) -> None:
    result = cli("headpose", "--data", biwi, *OPTIONS, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "headpose: keypoints" in result.output and "16 training and 8 validation images" in result.output
    info = run_info()
    assert (info["status"], info["task"], info["headline"]) == ("done", "keypoints", "pixel_error")
    assert list(info["metrics"]) == ["pixel_error"]
    assert 0 < info["metrics"]["pixel_error"] < math.hypot(64, 48)
    with open("run/split.csv", newline="") as file:
        valid = [row["image"] for row in csv.DictReader(file) if row["part"] == "valid"]
    assert len(valid) == 8 and all(image.startswith("13/") for image in valid)
    with open("run/history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["pixel_error"]) == pytest.approx(info["metrics"]["pixel_error"], abs=1e-6)
    bundle = json.loads(Path("run/model/model.json").read_text())
    assert (bundle["task"], bundle["network"]["outputs"], bundle["exact"]) == ("keypoints", 2, True)
    assert bundle["vocab"] == ["centre of the head"] and bundle["input_size"] == [48, 64]

    plots = {file.name: file.read_bytes() for file in Path("run/plots").iterdir()}
    assert {"errors.png", "examples.png", "worst.png", "losses.png", "metrics.png"} <= set(plots)
    for file in Path("run/plots").iterdir():
        file.unlink()
    plotted = cli("plot", "run")
    assert plotted.exit_code == 0, plotted.output
    assert {file.name: file.read_bytes() for file in Path("run/plots").iterdir()} == plots

    assert cli("export", "run", "--to", "safetensors").exit_code == 0
    exported = cli("export", "run", "--to", "fastai", "--out", "model.pkl")
    assert exported.exit_code == 0, exported.output
    from fastai.learner import load_learner

    learn = load_learner("model.pkl")
    with learn.no_bar():
        points, _, _ = learn.predict(biwi / "13" / "frame_00003_rgb.jpg")
    assert tuple(points.shape) == (1, 2)


@pytest.mark.usefixtures("unpainted")
def test_the_figure_is_that_of_the_models_predictions(cli: Cli, biwi: Path) -> None:
    """run.json's error equals a hand computation over the reloaded model's points, in the frames' pixels."""
    from visionkit.evaluation.points import predict_points
    from visionkit.runs import Run
    from visionkit.training.restore import restore

    assert cli("headpose", "--data", biwi, *OPTIONS, "--size", "36", "--out", "run").exit_code == 0
    run = Run.read(Path("run"))
    learn, dataset = restore(run)
    predictions = predict_points(learn, dataset, ["centre of the head"])
    distances = [
        math.dist(said[0], (10 + 6 * frame, 12 + 3 * ((frame + 2) % 8)))
        for frame, said in enumerate(predictions.predicted)
    ]
    assert run.metrics["pixel_error"] == pytest.approx(sum(distances) / len(distances), rel=1e-4)
    assert predictions.errors.mean() == pytest.approx(run.metrics["pixel_error"], rel=1e-4)


def test_show_and_lr_find(cli: Cli, biwi: Path) -> None:
    shown = cli("show", "headpose", "--data", biwi, *OPTIONS, "--out", "sheet.png")
    assert shown.exit_code == 0, shown.output
    found = cli("lr-find", "headpose", "--data", biwi, *OPTIONS)
    assert found.exit_code == 0 and "valley" in found.output, found.output
    for picture in ("sheet.png", "headpose-lr-find.png"):
        with Image.open(picture) as opened:
            assert opened.width > 300


@pytest.mark.usefixtures("unpainted")
def test_persons_and_groups_choose_who_validates(cli: Cli, biwi: Path) -> None:
    persons = cli("headpose", "--data", biwi, *OPTIONS, "--valid-person", "01", "02", "--out", "persons")
    assert persons.exit_code == 0, persons.output
    assert run_info("persons")["data"]["valid"] == 16
    groups = cli(
        "headpose", "--data", biwi, *OPTIONS, "--group-by", r"^(\d+)/", "--folds", 3, "--out", "groups"
    )
    assert groups.exit_code == 0, groups.output
    with open("groups/split.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    held = {row["image"][:2] for row in rows if row["part"] == "valid"}
    assert len(held) == 1 and held.isdisjoint(row["image"][:2] for row in rows if row["part"] == "train")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--valid-person", "14"], ["--valid-person 14", "13"]),
        (["--split", "stratified"], ["--split stratified", "points are no label"]),
    ],
)
def test_splits_that_cannot_be(cli: Cli, biwi: Path, options: list[str], words: list[str]) -> None:
    result = cli("headpose", "--data", biwi, *OPTIONS, *options)
    assert result.exit_code == 2, result.output
    assert all(word in result.output for word in words), result.output
    assert not Path("runs").exists()


@pytest.mark.usefixtures("unpainted")
def test_bad_poses_are_refused_listed_and_skipped(cli: Cli, biwi: Path) -> None:
    bad = biwi / "13" / "frame_00004_pose.txt"
    bad.write_text("1 0 0\n0 1 0\n0 0 1\n\n1 2 nan\n")
    (biwi / "01" / "frame_00005_pose.txt").unlink()
    cut = biwi / "01" / "frame_00003_rgb.jpg"  # the first frame of all
    cut.write_bytes(cut.read_bytes()[:100])
    refused = cli("headpose", "--data", biwi, *OPTIONS)
    assert refused.exit_code == 1 and "frame_00005_pose.txt: there is no such file" in refused.output
    checked = cli("check", "headpose", "--data", biwi, "--exclude", "bad.txt", "--report", "page.html")
    assert checked.exit_code == 1 and "missing pose" in checked.output and "bad pose" in checked.output
    assert set(Path("bad.txt").read_text().splitlines()) >= {
        "01/frame_00003_rgb.jpg",
        "01/frame_00005_rgb.jpg",
        "13/frame_00004_rgb.jpg",
    }
    run = cli("headpose", "--data", biwi, *OPTIONS, "--skip", "bad.txt", "--out", "run")
    assert run.exit_code == 0, run.output
    assert run_info()["data"]["skipped"] == 3 and run_info()["data"]["valid"] == 7


@pytest.mark.usefixtures("unpainted")
def test_points_outside_are_told_and_do_not_stop_a_training(cli: Cli, biwi: Path) -> None:
    (biwi / "02" / "frame_00004_pose.txt").write_text(POSE.format(900, 0, 900))
    checked = cli("check", "headpose", "--data", biwi, "--json")
    kinds = {problem["kind"]: problem for problem in json.loads(checked.stdout)["problems"]}
    assert kinds["point outside"]["files"] == ["02/frame_00004_rgb.jpg"]
    assert "84, 24" in kinds["point outside"]["message"]
    trained = cli("headpose", "--data", biwi, *OPTIONS)
    assert trained.exit_code == 0 and "outside of the image" in trained.output


@pytest.mark.usefixtures("unpainted")
def test_runs_are_listed_with_the_smallest_error_first(cli: Cli, biwi: Path) -> None:
    assert cli("headpose", "--data", biwi, *OPTIONS, "--out", "runs/a").exit_code == 0
    for name, error in (("b", 3.5), ("c", 30.0)):
        info = {**run_info("runs/a"), "name": name, "metrics": {"pixel_error": error}}
        Path("runs", name).mkdir()
        Path("runs", name, "run.json").write_text(json.dumps(info))
    for name, metrics in (("a", {"pixel_error": 12.0}), ("d", {})):
        info = {**run_info("runs/a"), "name": name, "metrics": metrics}
        Path("runs", name).mkdir(exist_ok=True)
        Path("runs", name, "run.json").write_text(json.dumps(info))
    lines = [
        line.split()[0] for line in cli("runs").output.splitlines() if "resnet" in line or "squeeze" in line
    ]
    assert lines == ["b", "a", "c", "d"]


def test_the_notebook_functions(biwi: Path) -> None:
    from visionkit.recipes import headpose

    dls = headpose.dataloaders(biwi, size=48, bs=4, workers=0, arch="squeezenet1_1", pretrained=False)
    images, points = dls.one_batch()
    assert images.shape == (4, 3, 48, 64) and points.shape == (4, 1, 2)
    assert [metric.name for metric in headpose.learner(dls).metrics] == ["pixel_error"]


@pytest.mark.slow
def test_the_sample_is_learnt_far_better_than_the_mean_place(tmp_path: Path) -> None:
    from visionkit.data.biwi import biwi_frames
    from visionkit.registry import get_recipe

    call = [sys.executable, "-m", "visionkit", "headpose", "--sample", "--out", "run"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    held = get_recipe("headpose").resolved(sample=True).valid_person
    frames = biwi_frames(Path(info["data"]["path"]))
    mean = np.mean([frame.points for frame in frames if frame.person not in held], axis=0)
    blind = np.mean([math.dist(frame.points[0], mean[0]) for frame in frames if frame.person in held])
    assert info["metrics"]["pixel_error"] < 0.4 * blind
