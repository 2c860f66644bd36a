"""Every recipe through the command line, on small data: train, then each shared utility on the run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from conftest import FAST, SIZES, Cli, train_fast
from PIL import Image

METRICS = {
    "pets": ["accuracy", "error_rate"],
    "planet": ["accuracy_multi", "f2"],
    "camvid": ["pixel_accuracy", "mean_iou"],
}
PREDICTION_PLOT = {"pets": "confusion", "planet": "per_tag", "camvid": "per_class"}
RECIPES = pytest.mark.parametrize("dataset", list(METRICS), indirect=True)


@RECIPES
def test_training_fills_the_run_folder(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    result = train_fast(cli, name, folder, "--arch", "squeezenet1_1", "--out", "run")
    assert result.exit_code == 0, result.output
    for shown in (
        f"{SIZES[name]} px, unfrozen, 1 epoch",
        "cpu",
        "fp32",
        "batches of 4 from",
        "training and",
        "done",
    ):
        assert shown in result.output
    info = json.loads(Path("run/run.json").read_text())
    assert (info["status"], info["recipe"], info["synthetic"]) == ("done", name, False)
    assert list(info["metrics"]) == METRICS[name]
    assert all(0 <= value <= 1 for value in info["metrics"].values())
    assert {
        "name",
        "task",
        "settings",
        "data",
        "stages",
        "versions",
        "device",
        "precision",
        "seconds",
    } <= set(info)
    assert (
        info["images_per_s"] > 0
        and info["data"]["fingerprint"]
        and info["settings"]["size"] == int(SIZES[name])
    )
    with open("run/history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    fixed = ["stage", "size", "epoch", "lr", "train_loss", "valid_loss"]
    assert list(rows[0]) == [*fixed, *METRICS[name], "seconds", "images_per_s", "wait_percent"]
    assert len(rows) == 1 and 0 <= float(rows[0]["wait_percent"]) <= 100
    assert 0 <= info["wait_percent"] <= 100
    for stem in ("losses", "schedule", "metrics", "examples", "worst", PREDICTION_PLOT[name]):
        with Image.open(f"run/plots/{stem}.png") as picture:
            assert picture.width > 300
    bundle = json.loads(Path("run/model/model.json").read_text())
    assert bundle["task"] == info["task"] and len(bundle["vocab"]) >= 3
    assert bundle["network"]["arch"] == "squeezenet1_1" and bundle["exact"]
    assert not list(Path("run").rglob("*.part")) and not list(Path("run").rglob("*.pkl"))


@pytest.mark.parametrize(
    "dataset",
    ["pets", *(pytest.param(name, marks=pytest.mark.slow) for name in ("planet", "camvid"))],
    indirect=True,
)
def test_utilities_on_data_and_run(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    assert train_fast(cli, name, folder).exit_code == 0
    run = next(Path("runs").iterdir())
    listed = cli("runs")
    assert run.name in listed.output and "done" in listed.output

    before = {file.name: file.read_bytes() for file in (run / "plots").iterdir()}
    for file in (run / "plots").iterdir():
        file.unlink()
    plotted = cli("plot", "last")
    assert plotted.exit_code == 0, plotted.output
    assert {file.name: file.read_bytes() for file in (run / "plots").iterdir()} == before, (
        "the reloaded model draws the same"
    )

    exported = cli("export", run.name, "--to", "safetensors")
    assert exported.exit_code == 0 and (run / "export/bundle/model.safetensors").is_file(), exported.output
    exported = cli("export", run, "--to", "fastai", "--out", "model.pkl")
    assert exported.exit_code == 0, exported.output
    from fastai.learner import load_learner

    learn = load_learner("model.pkl")
    image = next(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))
    with learn.no_bar():
        assert len(learn.predict(image)) == 3
    assert cli("export", run, "--to", "fastai", "--out", "model.pkl").exit_code == 2, (
        "nothing is written over"
    )

    options = ["--data", folder, "--size", SIZES[name], *FAST]
    assert cli("show", name, *options, "--out", "sheet.png").exit_code == 0
    found = cli("lr-find", name, *options)
    assert found.exit_code == 0 and "valley" in found.output, found.output
    for picture in ("sheet.png", f"{name}-lr-find.png"):
        with Image.open(picture) as opened:
            assert opened.width > 300
    assert not list(folder.glob("models")), "nothing is written into the data set"


@pytest.mark.usefixtures("unpainted")
def test_progressive_resizing_and_epochs_by_size(cli: Cli, planet: Path, tmp_path: Path) -> None:
    """A body with weights trains frozen and unfrozen at each size, at rates that are halved each time."""
    import torch
    import torchvision

    weights = tmp_path / "body.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), weights)
    options = ["--arch", "squeezenet1_1", "--weights", weights, "--workers", 0, "--bs", 4, "--lr", 0.008]
    sizes = ["--size", 32, "--then", 40, 48, "--freeze-epochs", 1, "--epochs", "1,0,2"]
    result = cli("planet", "--data", planet, *options, *sizes, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "52 tensors loaded" in result.output
    stages = json.loads(Path("run/run.json").read_text())["stages"]
    assert [(stage["size"], stage["name"], stage["epochs"], stage["lr"]) for stage in stages] == [
        (32, "frozen", 1, 0.008),
        (32, "unfrozen", 1, 0.004),
        (40, "frozen", 1, 0.004),
        (48, "frozen", 1, 0.002),
        (48, "unfrozen", 2, 0.001),
    ]
    with open("run/history.csv", newline="") as file:
        rows = [(row["stage"], row["size"], row["epoch"]) for row in csv.DictReader(file)]
    assert rows == [
        ("1", "32", "1"),
        ("2", "32", "1"),
        ("3", "40", "1"),
        ("4", "48", "1"),
        ("5", "48", "1"),
        ("5", "48", "2"),
    ]
    assert json.loads(Path("run/model/model.json").read_text())["input_size"] == [48, 48]


@pytest.mark.usefixtures("unpainted")
def test_automatic_rate(cli: Cli, pets: Path) -> None:
    result = train_fast(cli, "pets", pets, "--lr", "auto", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "rate from lr_find" in result.output and "lr_find's valley is" in result.output
    assert not Path("run/models").exists()


def test_notebook_functions(pets: Path) -> None:
    """Each layer can be used alone, and gives fastai's own objects."""
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from visionkit.recipes import pets as recipe

    dls = recipe.dataloaders(pets, size=32, bs=4, workers=0, arch="squeezenet1_1", pretrained=False)
    assert isinstance(dls, DataLoaders) and dls.one_batch()[0].shape == (4, 3, 32, 32)
    learn = recipe.learner(dls)
    assert isinstance(learn, Learner) and [metric.name for metric in learn.metrics] == [
        "accuracy",
        "error_rate",
    ]
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)


@pytest.mark.usefixtures("unpainted")
def test_recipe_from_a_file(cli: Cli, pets: Path, tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "recipes" / "pets.py"
    mine = tmp_path / "mine.py"
    mine.write_text(source.read_text().replace('name="pets"', 'name="mine"'))
    result = cli(mine, "--data", pets, "--size", 32, *FAST, "--out", "run")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("run/run.json").read_text())["recipe"] == "mine"
    assert cli("plot", "run").exit_code == 0


@pytest.mark.usefixtures("unpainted")
def test_palette_masks_train_like_plain_ones(cli: Cli, camvid: Path) -> None:
    """A palette's indices are the codes, whatever its colours."""
    assert train_fast(cli, "camvid", camvid, "--out", "plain").exit_code == 0
    for mask in (camvid / "labels").iterdir():
        with Image.open(mask) as opened:
            indexed = Image.fromarray(__import__("numpy").asarray(opened), mode="P")
        indexed.putpalette([200, 10, 10, 10, 10, 10, 255, 255, 255, 90, 90, 0])
        indexed.save(mask)
    assert train_fast(cli, "camvid", camvid, "--out", "palette").exit_code == 0
    plain, palette = (
        json.loads(Path(f"{name}/run.json").read_text())["metrics"] for name in ("plain", "palette")
    )
    assert plain == palette
