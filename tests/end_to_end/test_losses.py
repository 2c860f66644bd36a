"""Trainings with the options of the loss, through the command line, for each task."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import FAST, SIZES, Cli, train_fast

EMA = ["--ema", 0.9]
ALL = ["--class-weights", "auto", "--weighted-sampling", *EMA]
SMOOTH = ["--label-smoothing", 0.1]
MIXED = ["--mixup", 0.4, "--cutmix", 1]
COMBINED = [
    ("pets", [*ALL, *SMOOTH, *MIXED, "--precision", "bf16"]),
    ("pets", ["--loss", "focal", "--class-weights", "auto", "--cutmix", 1]),
    ("planet", [*ALL, *SMOOTH, *MIXED, "--precision", "bf16"]),
    ("camvid", [*ALL, *SMOOTH, "--loss", "cross-entropy+dice", "--precision", "bf16"]),
    ("camvid", ["--loss", "dice", "--class-weights", "auto"]),
]


@pytest.mark.parametrize(("dataset", "options"), COMBINED, indirect=["dataset"])
@pytest.mark.usefixtures("unpainted")
def test_options_of_the_loss_together(cli: Cli, dataset: tuple[str, Path], options: list[object]) -> None:
    name, folder = dataset
    result = train_fast(cli, name, folder, *options, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "loss       " in result.output and "class weights auto" in result.output
    info = json.loads(Path("run/run.json").read_text())
    settings = info["settings"]
    given = dict(pairwise(options))
    assert (info["status"], settings["class_weights"]) == ("done", "auto")
    assert settings["loss"] == given.get("--loss", "auto")
    for option in ("label_smoothing", "mixup", "cutmix", "ema"):
        assert settings[option] == given.get(f"--{option.replace('_', '-')}", 0)
    assert settings["weighted_sampling"] is ("--weighted-sampling" in options)
    assert all(0 <= value <= 1 for value in info["metrics"].values())
    with open("run/history.csv", newline="") as file:
        losses = [float(row[key]) for row in csv.DictReader(file) for key in ("train_loss", "valid_loss")]
    assert all(0 < loss < 100 for loss in losses)
    weights = json.loads(Path("run/class_weights.json").read_text())
    assert list(weights) == json.loads(Path("run/model/model.json").read_text())["vocab"]
    assert weights.get("Void", 0) == 0 and sum(weights.values()) > 0


@pytest.mark.parametrize(
    "dataset",
    ["pets", *(pytest.param(name, marks=pytest.mark.slow) for name in ("planet", "camvid"))],
    indirect=True,
)
def test_the_averaged_network_is_the_runs(cli: Cli, dataset: tuple[str, Path]) -> None:
    """Over two sizes: restored, it has the last epoch's figures, draws the same, and is exported."""
    from fastai.learner import load_learner

    from visionkit.runs import Run
    from visionkit.training.restore import restore

    name, folder = dataset
    loss = {"pets": "bce", "planet": "focal", "camvid": "focal"}[name]
    options = [*ALL, "--loss", loss, *([] if name == "camvid" else ["--mixup", 0.4])]
    larger = str(int(SIZES[name]) + 8)
    sizes = ["--size", SIZES[name], "--then", larger]
    result = cli(name, "--data", folder, *sizes, *FAST, *options, "--out", "run")
    assert result.exit_code == 0, result.output
    learn, data = restore(Run.read(Path("run")))
    with learn.no_bar():
        valid_loss, *figures = map(float, learn.validate())
        predictions = learn.get_preds(with_decoded=True, with_loss=True)
    assert [len(part) for part in predictions] == [len(data.valid)] * 4 and predictions[3].ndim == 1
    with open("run/history.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    wanted = json.loads(Path("run/run.json").read_text())["metrics"]
    assert figures == pytest.approx([wanted[metric.name] for metric in learn.metrics], abs=1e-5)
    assert valid_loss == pytest.approx(float(last["valid_loss"]), rel=1e-4)
    before = {file.name: file.read_bytes() for file in Path("run/plots").iterdir()}
    assert cli("plot", "run").exit_code == 0
    assert {file.name: file.read_bytes() for file in Path("run/plots").iterdir()} == before
    assert cli("export", "run", "--to", "fastai", "--out", "model.pkl").exit_code == 0
    loaded = load_learner("model.pkl")
    image = next(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))
    with loaded.no_bar():
        assert len(loaded.predict(image)) == 3


@pytest.mark.usefixtures("unpainted")
def test_weights_from_a_file_are_kept_with_the_run(cli: Cli, pets: Path, tmp_path: Path) -> None:
    """They go on counting when the file has gone."""
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({"Abyssinian": 1, "german_shorthaired": 3, "Sphynx": 0.25}))
    result = train_fast(cli, "pets", pets, "--class-weights", file, *SMOOTH, *MIXED, "--out", "run")
    assert result.exit_code == 0, result.output
    file.unlink()
    kept = json.loads(Path("run/class_weights.json").read_text())
    assert kept == {"Abyssinian": 1.0, "Sphynx": 0.25, "german_shorthaired": 3.0}
    assert cli("plot", "run").exit_code == 0


@pytest.mark.usefixtures("unpainted")
def test_show_takes_the_options(cli: Cli, pets: Path) -> None:
    options = ["--data", pets, "--size", 32, *FAST, *ALL, *SMOOTH, *MIXED]
    assert cli("show", "pets", *options, "--out", "sheet.png").exit_code == 0


@pytest.mark.usefixtures("unpainted")
def test_a_frozen_body_stays_as_it_was_loaded(cli: Cli, pets: Path, tmp_path: Path) -> None:
    import torch
    import torchvision
    from safetensors.torch import load_file

    weights = tmp_path / "body.pth"
    body = torchvision.models.squeezenet1_1().state_dict()
    torch.save(body, weights)
    options = ["--arch", "squeezenet1_1", "--weights", weights, "--workers", 0, "--bs", 4, "--lr", "auto"]
    stages = ["--size", 32, "--freeze-epochs", 1, "--epochs", 0]
    mixed_average = [*EMA, *MIXED, "--precision", "fp32"]
    result = cli("pets", "--data", pets, *options, *stages, *mixed_average, "--out", "run")
    assert result.exit_code == 0 and "lr_find's valley" in result.output, result.output
    trained = load_file("run/model/model.safetensors")
    loaded = {name.split("features.")[1]: value for name, value in body.items() if "features." in name}
    found = {name.removeprefix("0.0."): value for name, value in trained.items() if name.startswith("0.0.")}
    assert found.keys() == loaded.keys()
    assert all(torch.equal(found[name], value) for name, value in loaded.items())


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("camvid", ["--mixup", 0.4], "--mixup 0.4: does not go with the task segmentation"),
        ("planet", ["--loss", "dice"], "--loss dice: does not go with the task multi-label"),
        ("pets", ["--loss", "focal", *SMOOTH], "--label-smoothing 0.1: does not go with --loss focal"),
        ("pets", ["--class-weights", "w.csv"], "--class-weights w.csv: there is no such file"),
        ("pets", ["--class-weights", "wrong.json"], "there is no class Siamese."),
        ("pets", ["--ema", 1], "--ema: '1' is not allowed"),
    ],
    indirect=["dataset"],
)
def test_what_does_not_go_is_refused_and_leaves_nothing(
    cli: Cli, dataset: tuple[str, Path], options: list[object], message: str
) -> None:
    Path("wrong.json").write_text('{"Siamese": 1}')
    name, folder = dataset
    result = train_fast(cli, name, folder, *options)
    assert result.exit_code == 2 and message in result.output, result.output
    assert "Traceback" not in result.output and not Path("runs").exists()
