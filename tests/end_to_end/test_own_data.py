"""A user's own data, without code: class folders, tables and masks through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CODES, FAST, SMALL_UNET, Cli, noise
from PIL import Image
from typer.testing import Result

pytestmark = pytest.mark.usefixtures("unpainted")

COLOURS = [(128, 128, 128), (128, 64, 128), (64, 0, 128), (0, 0, 0)]


@pytest.fixture
def breeds(pets: Path) -> Path:
    """`train/BREED` and `valid/BREED`."""
    for photo in sorted((pets / "images").iterdir()):
        breed, _, number = photo.stem.rpartition("_")
        target = pets / ("valid" if int(number) > 6 else "train") / breed
        target.mkdir(parents=True, exist_ok=True)
        photo.rename(target / photo.name)
    (pets / "images").rmdir()
    return pets


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """20 images in `photos/` and a table divided by semicolons, with tags divided by bars."""
    folder = tmp_path / "tiles"
    (folder / "photos").mkdir(parents=True)
    rows = ["nr;picture;kind;is_valid"]
    for number in range(20):
        tags = ["clear" if number % 2 else "haze"] + ["wood"] * (number % 3 > 0)
        picture = noise(number, 40, 40) // 2 + 100 * (number % 2)
        Image.fromarray(picture).save(folder / "photos" / f"{number}.png")
        rows.append(f"{number};{number}.png;{'|'.join(tags)};{int(number % 5 == 0)}")
    (folder / "tiles.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def scenes(camvid: Path) -> Path:
    """Masks in colour, `masks/NAME_mask.png`, and a class map."""
    (camvid / "masks").mkdir()
    palette = np.asarray(COLOURS, dtype=np.uint8)
    for mask in sorted((camvid / "labels").iterdir()):
        with Image.open(mask) as opened:
            picture = Image.fromarray(palette[np.asarray(opened)])
        picture.save(camvid / "masks" / mask.name.replace("_P", "_mask"))
    shutil.rmtree(camvid / "labels")
    (camvid / "codes.txt").unlink()
    rows = [",".join(map(str, (name, *colour))) for name, colour in zip(CODES, COLOURS)]
    (camvid / "classes.csv").write_text("\n".join(["name,r,g,b", *rows]) + "\n")
    return camvid


def trained(cli: Cli, recipe: str, folder: object, *options: object) -> tuple[Result, dict[str, Any]]:
    size, small = (36, SMALL_UNET) if recipe == "masks" else (32, [])
    result = cli(recipe, "--data", folder, "--size", size, *FAST, *small, "--out", "run", *options)
    assert result.exit_code == 0, result.output
    return result, json.loads(Path("run/run.json").read_text())


def refused(result: Result, *words: str) -> None:
    output = " ".join(result.output.split())
    assert result.exit_code in (1, 2) and "Traceback" not in output and "unexpected" not in output, output
    assert all(word in output for word in words), output
    assert not Path("run").exists() and not Path("runs").exists()


def test_class_folders_and_every_utility(cli: Cli, breeds: Path) -> None:
    result, info = trained(cli, "folder", breeds)
    assert "3 classes by folders in train/; valid/ validates" in result.output
    assert (info["data"]["train"], info["data"]["valid"], info["task"]) == (18, 6, "single-label")
    assert cli("plot", "run").exit_code == 0
    exported = cli("export", "run", "--to", "fastai", "--out", "model.pkl")
    assert exported.exit_code == 0, exported.output
    options = ["--data", breeds, "--size", 32, *FAST]
    assert cli("show", "folder", *options, "--out", "sheet.png").exit_code == 0
    assert cli("lr-find", "folder", *options).exit_code == 0
    assert cli("check", "folder", "--data", breeds).exit_code == 0


def test_class_folders_without_parts_are_divided_by_class(cli: Cli, breeds: Path) -> None:
    shutil.rmtree(breeds / "valid")
    result, info = trained(cli, "folder", breeds / "train", "--split", "stratified", "--valid-pct", 0.33)
    held = [
        name.split("/")[0] for name in Path("run/split.csv").read_text().split() if name.endswith("valid")
    ]
    assert sorted(held) == sorted(["Abyssinian", "german_shorthaired", "Sphynx"] * 2)
    assert info["data"]["valid"] == 6 and "--split says what validates" in result.output


def test_a_class_that_only_validates_is_refused(cli: Cli, breeds: Path) -> None:
    shutil.rmtree(breeds / "train" / "Sphynx")
    refused(cli("folder", "--data", breeds, "--size", 32, *FAST), "'Sphynx'", "none for training")


def test_loose_images_are_refused_listed_and_skipped(cli: Cli, breeds: Path) -> None:
    shutil.copy(breeds / "valid/Sphynx/Sphynx_7.jpg", breeds / "train/odd.jpg")
    refused(cli("folder", "--data", breeds, "--size", 32, *FAST), "odd.jpg", "folder for each class")
    assert cli("check", "folder", "--data", breeds, "--exclude", "bad.txt").exit_code == 1
    assert Path("bad.txt").read_text() == "train/odd.jpg\n"
    _, info = trained(cli, "folder", breeds, "--skip", "bad.txt")
    assert info["data"]["train"] == 18


@pytest.mark.parametrize("source", ["torchvision:MNIST", "fastai:CIFAR"])
def test_sets_by_name(source: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they lie on the disk once fetched: grey digits or small photos, in train/ and test/."""
    from visionkit.sources.names import named_source

    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "fastai"))
    store = tmp_path / "store"
    monkeypatch.setattr(type(named_source(source)), "is_there", lambda self, root: True)
    folder = named_source(source).folder(store)
    folder.mkdir(parents=True)
    monkeypatch.setattr(type(named_source(source)), "fetch", lambda self, store: folder)
    for part, count in (("train", 8), ("test", 3)):
        for digit in "37":
            (folder / part / digit).mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(noise(number, 28, 28) // 2 + 20 * int(digit))
                picture = picture.convert("L") if source == "torchvision:MNIST" else picture
                picture.save(folder / part / digit / f"{number:05}.png")
    Path("settings.ini").write_text(f"[paths]\ndata = {store}\n")
    result, info = trained(cli, "folder", source, "--size", 96, "--no-flip")
    assert "test/ validates" in result.output
    assert "about 28 px" in result.output and "--size 64" in result.output
    assert (info["data"]["train"], info["data"]["valid"]) == (16, 6)


def test_a_table_of_tags(cli: Cli, tiles: Path) -> None:
    result, info = trained(cli, "csv", tiles, "--label-column", "kind")
    for words in (
        "divided by semicolon",
        "photos/",
        "'picture'",
        "labels in 'kind', divided by pipe",
        "'is_valid'",
    ):
        assert words in result.output
    assert (info["task"], info["data"]["valid"]) == ("multi-label", 4)
    assert set(info["data"]["classes"]) == {"clear", "haze", "wood"}
    assert cli("plot", "run").exit_code == 0
    assert cli("check", "csv", "--data", tiles, "--label-column", "kind").exit_code == 0
    found = cli("lr-find", "csv", "--data", tiles, "--label-column", "kind", "--size", 32, *FAST)
    assert found.exit_code == 0 and "valley" in found.output, found.output
    assert cli("show", "csv", "--data", tiles, "--label-column", "kind", "--size", 32, *FAST).exit_code == 0


def test_a_table_that_cannot_be_told_asks_once(cli: Cli, tiles: Path) -> None:
    result = cli("csv", "--data", tiles, "--size", 32, *FAST)
    refused(result, "tiles.csv", "'nr', 'kind'", "--label-column")


def test_one_label_in_columns_of_numbers(cli: Cli, tiles: Path) -> None:
    (tiles / "tiles.csv").write_text("id,label\n" + "".join(f"{at},{at % 3}\n" for at in range(20)))
    result, info = trained(cli, "csv", tiles)
    assert info["task"] == "single-label" and list(info["data"]["classes"]) == ["0", "1", "2"]
    assert "one label in 'label'" in result.output


def test_columns_of_0_and_1_with_images_of_no_tag(cli: Cli, tiles: Path) -> None:
    rows = [f"{at},{int(at % 2)},{int(at % 4 == 1)}" for at in range(20)]
    (tiles / "tiles.csv").write_text("\n".join(["id,sun,sea", *rows]) + "\n")
    for options in ([], ["--split", "stratified"]):
        shutil.rmtree("run", ignore_errors=True)
        result, info = trained(cli, "csv", tiles, *options)
        assert info["data"]["classes"] == {"sea": 5, "sun": 10} and "tags by the 1 in" in result.output
    assert cli("check", "csv", "--data", tiles).exit_code == 0


def test_bad_rows_are_refused_listed_and_skipped(cli: Cli, tiles: Path) -> None:
    (tiles / "photos" / "3.png").unlink()
    (tiles / "photos" / "4.png").write_bytes(b"")
    options = ["--data", tiles, "--label-column", "kind"]
    refused(cli("csv", *options, "--size", 32, *FAST), "row 5", "3.png")
    checked = cli("check", "csv", *options, "--exclude", "bad.txt", "--json")
    assert checked.exit_code == 1
    assert Path("bad.txt").read_text().split() == ["photos/3.png", "photos/4.png"]
    problems = [
        each["message"] for each in json.loads(checked.stdout)["problems"] if "row 5" in each["message"]
    ]
    assert len(problems) == 1, "told once, though the table is read more than once"
    _, info = trained(cli, "csv", tiles, "--label-column", "kind", "--skip", "bad.txt")
    assert info["data"]["train"] + info["data"]["valid"] == 18


def test_masks_in_colour_train_as_indices_do(cli: Cli, scenes: Path) -> None:
    result, colours = trained(cli, "masks", scenes)
    for words in (
        "masks/, called as their images with '_mask'",
        "3 codes by classes.csv",
        "left out: Void",
        "valid.txt tells who validates",
    ):
        assert words in result.output
    assert cli("plot", "run").exit_code == 0
    assert cli("show", "masks", "--data", scenes, "--size", 36, *FAST).exit_code == 0
    exported = cli("export", "run", "--to", "fastai", "--out", "model.pkl")
    assert exported.exit_code == 0, exported.output
    for mask in (scenes / "masks").iterdir():
        with Image.open(mask) as opened:
            keys = (np.asarray(opened, dtype=int) * [65536, 256, 1]).sum(axis=-1)
        wanted = [r * 65536 + g * 256 + b for r, g, b in COLOURS]
        Image.fromarray(np.searchsorted(sorted(wanted), keys).astype(np.uint8)).save(mask)
    order = [CODES[at] for at in np.argsort(wanted)]
    (scenes / "classes.csv").unlink()
    (scenes / "codes.txt").write_text("\n".join(order) + "\n")
    shutil.rmtree("run")
    _, indices = trained(cli, "masks", scenes)
    assert indices["data"]["valid"] == colours["data"]["valid"] == 2
    assert json.loads(Path("run/model/model.json").read_text())["vocab"] == order


def test_ignored_codes_leave_loss_and_metrics(cli: Cli, scenes: Path) -> None:
    result, _ = trained(cli, "masks", scenes, "--ignore", "Car")
    assert "left out: Void, Car" in result.output
    assert json.loads(Path("run/model/model.json").read_text())["vocab"] == ["Sky", "Road", "Void"]
    refused_by_all = cli("masks", "--data", scenes, "--size", 36, *FAST, "--ignore", "Car", "Sky")
    assert refused_by_all.exit_code == 1 and "two besides Void" in refused_by_all.output


def test_the_check_sees_masks_as_the_training_does(cli: Cli, scenes: Path) -> None:
    shares = json.loads(cli("check", "masks", "--data", scenes, "--json").stdout)["pixel_share"]
    assert [share["name"] for share in shares] == CODES and all(share["pixels"] for share in shares)
    picture = np.asarray(Image.open(scenes / "masks/frame_3_mask.png")).copy()
    picture[0, :3] = (9, 9, 8)
    Image.fromarray(picture).save(scenes / "masks/frame_3_mask.png")
    (scenes / "masks/frame_5_mask.png").unlink()
    refused(cli("masks", "--data", scenes, "--size", 36, *FAST), "frame_5.png", "no mask")
    checked = cli("check", "masks", "--data", scenes, "--exclude", "bad.txt")
    assert checked.exit_code == 1
    assert Path("bad.txt").read_text().split() == ["images/frame_3.png", "images/frame_5.png"]
    Path("skip.txt").write_text("images/frame_5.png\n")
    refused(
        cli("masks", "--data", scenes, "--size", 36, *FAST, "--skip", "skip.txt"),
        "frame_3_mask.png", "#090908 (3 pixels)", "classes.csv", "--ignore #090908",
    )  # fmt: skip
    trained(cli, "masks", scenes, "--skip", "skip.txt", "--ignore", "#090908")
    shutil.rmtree("run")
    trained(cli, "masks", scenes, "--skip", "bad.txt")


def test_black_and_white_masks_need_no_codes(cli: Cli, camvid: Path) -> None:
    (camvid / "codes.txt").unlink()
    (camvid / "valid.txt").unlink()
    for mask in (camvid / "labels").iterdir():
        with Image.open(mask) as opened:
            Image.fromarray((np.asarray(opened) == 1).astype(np.uint8) * 255).save(mask)
    result, info = trained(cli, "masks", camvid)
    assert "2 codes by the masks: background, foreground" in result.output and info["data"]["valid"] == 2


@pytest.mark.parametrize("recipe", ["folder", "csv", "masks"])
def test_without_data_the_message_says_what_to_give(recipe: str, cli: Cli) -> None:
    refused(cli(recipe), "--data", "--sample", recipe)


def test_in_a_notebook(tiles: Path) -> None:
    from visionkit.recipes import csv

    options = {"arch": "squeezenet1_1", "pretrained": False, "bs": 4, "workers": 0}
    dls = csv.dataloaders(tiles, size=32, label_column=("kind",), **options)
    assert list(dls.vocab) == ["clear", "haze", "wood"] and dls.one_batch()[1].shape == (4, 3)
    learn = csv.learner(dls)
    assert [metric.name for metric in learn.metrics] == ["accuracy_multi", "f2"]


@pytest.mark.parametrize(("recipe", "data"), [("folder", "breeds"), ("csv", "tiles"), ("masks", "scenes")])
def test_the_check_says_what_a_training_says(
    recipe: str, data: str, cli: Cli, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(data)
    options = ["--label-column", "kind"] if recipe == "csv" else []
    result, _ = trained(cli, recipe, folder, *options)
    found = next(line for line in result.output.splitlines() if line.startswith("found "))
    checked = cli("check", recipe, "--data", folder, *options)
    assert found in checked.stdout.splitlines()
    report = json.loads(cli("check", recipe, "--data", folder, *options, "--json").stdout)
    assert report["remark"].splitlines()[0] == found


def test_the_check_says_it_though_files_are_damaged(cli: Cli, breeds: Path) -> None:
    for photo in (breeds / "train/Sphynx").iterdir():
        photo.write_bytes(b"")
    checked = cli("check", "folder", "--data", breeds)
    assert checked.exit_code == 1 and "classes by folders in train/; valid/ validates" in checked.stdout


@pytest.mark.parametrize("option", [("--folds", 3), ("--group-by", r"_(\d)"), ("--split", "stratified")])
def test_the_remark_says_who_validates_really(option: tuple[object, ...], cli: Cli, breeds: Path) -> None:
    shown = cli("show", "folder", "--data", breeds, "--size", 32, *FAST, "--out", "sheet.png", *option)
    assert f"in train/ and valid/; {option[0]} says what validates" in shown.output, shown.output
    assert "left out" not in shown.output


def test_classes_named_with_spaces_commas_and_letters_of_all_kinds(cli: Cli, breeds: Path) -> None:
    for part in ("train", "valid"):
        for old, new in (
            ("Abyssinian", "a, b"),
            ("Sphynx", "Katze \u732b"),
            ("german_shorthaired", "c'd; e"),
        ):
            (breeds / part / old).rename(breeds / part / new)
    _, info = trained(cli, "folder", breeds)
    assert set(info["data"]["classes"]) == {"a, b", "Katze \u732b", "c'd; e"}
    shutil.rmtree("run")
    trained(cli, "folder", breeds, "--class-weights", "auto")


def test_the_check_tells_why_nothing_is_left(cli: Cli, scenes: Path) -> None:
    (scenes / "valid.txt").write_text("frame_8\nframe_9\n")
    refused(
        cli("check", "masks", "--data", scenes), "no image for validation", "valid.txt", "frame_8, frame_9"
    )


def test_settings_of_own_data_stand_in_a_file(cli: Cli, tiles: Path) -> None:
    Path("settings.ini").write_text("[csv]\nlabel_column = kind\nvalid_column = is_valid\nsize = 32\n")
    result = cli("csv", "--data", tiles, *FAST, "--out", "run", "--folds", 2)
    assert result.exit_code == 0, result.output
    assert "labels in 'kind'" in result.output and "--folds says what validates" in result.output
    assert json.loads(Path("run/run.json").read_text())["data"]["valid"] == 10
