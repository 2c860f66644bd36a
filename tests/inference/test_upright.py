"""A training, its bundle and its exports see photos with EXIF marks upright; earlier bundles as stored."""

from __future__ import annotations

import json
from pathlib import Path

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from conftest import FAST, Cli, noise, train_fast
from inference.stored import stored_bundle
from marked import MARKS, marked_folder, save_marked
from PIL import Image, ImageOps
from torch import Tensor

import visionkit
from visionkit.errors import VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE
from visionkit.inference.card import card_text
from visionkit.inference.description import Steps
from visionkit.inference.preprocessing import Preprocessing
from visionkit.reporting.sheets import thumbnail
from visionkit.runs import Run
from visionkit.sources.base import Store
from visionkit.training.restore import restore

pytestmark = pytest.mark.usefixtures("unpainted")

RUN = ["--size", 24, "--then", "", *FAST]


@pytest.fixture
def trained(cli: Cli, tmp_path: Path) -> Path:
    """The folder of a run on photos with all marks."""
    folder = marked_folder(tmp_path / "data")
    result = cli("folder", "--data", folder, *RUN, "--out", "run")
    assert result.exit_code == 0 and "otherwise" not in result.output, result.output
    return Path("run")


def test_a_training_and_its_bundle_say_the_same(cli: Cli, trained: Path, tmp_path: Path) -> None:
    model = visionkit.load(trained, device="cpu")
    said = model.description
    assert said.preprocessing.upright and said.format_version == 3 and said.exact
    learn, dataset = restore(Run.read(trained), "cpu", Store(tmp_path / "store"))
    with learn.no_bar(), learn.no_logging():
        expected = learn.get_preds(ds_idx=1)[0].as_subclass(Tensor).numpy()
        images = [dataset.images[index] for index in dataset.valid]
        from_files = learn.get_preds(dl=learn.dls.test_dl(images, num_workers=0))[0].as_subclass(Tensor)
    assert len(images) == 16 and np.abs(expected - from_files.numpy()).max() <= 1e-5
    found = np.stack([answer.probabilities for answer in model.predict(images)])
    assert np.abs(found - expected).max() <= 1e-5
    for place, image in enumerate(images):
        with Image.open(image) as picture:
            assert model.predict(picture).probabilities == pytest.approx(expected[place], abs=1e-5)
    result = cli("predict", "run", *images, "--probabilities", "--out", "answers.jsonl")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert len(rows) == 16
    for row, probabilities in zip(rows, expected, strict=True):
        said_by_row = [row["probabilities"][name] for name in model.vocab]
        assert said_by_row == pytest.approx(probabilities, abs=1e-5)
    card = card_text(trained / "model")
    assert "turned upright by its EXIF mark" in card and "not turned" not in card
    result = cli("evaluate", "run", "--tta", "crops", "--no-save", "--json")
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_an_exported_file_says_the_same(cli: Cli, trained: Path) -> None:
    assert cli("export", "run", "--to", "onnx").exit_code == 0
    outside = cli("export", "run", "--to", "onnx", "--preprocessing", "outside")
    assert outside.exit_code == 0, outside.output
    assert json.loads(Path("run/export/model-outside.json").read_text())["preprocessing"]["upright"] is True
    model = visionkit.load(trained, device="cpu")
    images = sorted(Path("../data/valid/newt").iterdir())
    expected = np.stack([answer.probabilities for answer in model.predict(images)])
    for name in ("model.onnx", "model-outside.onnx"):
        exported = visionkit.load(f"run/export/{name}")
        found = np.stack([answer.probabilities for answer in exported.predict(images)])
        assert np.abs(found - expected).max() <= 1e-4, name


def test_a_bundle_without_the_word_reads_photos_as_stored(tmp_path: Path) -> None:
    model = visionkit.load(stored_bundle(tmp_path / "model", "single-label"), device="cpu")
    assert not model.description.preprocessing.upright and model.description.format_version == 2
    save_marked(Image.fromarray(noise(3, 60, 40)), 6, tmp_path / "marked.png")
    with Image.open(tmp_path / "marked.png") as opened:
        opened.convert("RGB").save(tmp_path / "plain.png", exif=b"")
        ImageOps.exif_transpose(opened).save(tmp_path / "upright.png")
    marked, plain, upright = (
        model.preprocess(tmp_path / f"{name}.png") for name in ("marked", "plain", "upright")
    )
    assert torch.equal(marked, plain) and not torch.equal(marked, upright)


def test_an_upright_bundle_needs_a_visionkit_that_knows_of_it(tmp_path: Path) -> None:
    """One that passed over the word would say something else without a message."""
    folder = stored_bundle(tmp_path / "model", "single-label")
    file = folder / DESCRIPTION_FILE
    said = json.loads(file.read_text())
    said["preprocessing"]["upright"] = True
    file.write_text(json.dumps(said))
    with pytest.raises(VisionkitError, match=r"model\.json: .*upright.* format 3"):
        visionkit.load(folder, device="cpu")
    file.write_text(json.dumps({**said, "format_version": 3}))
    assert visionkit.load(folder, device="cpu").description.preprocessing.upright


def test_masks_and_points_are_written_in_the_format_before(cli: Cli, camvid: Path) -> None:
    result = train_fast(cli, "camvid", camvid, "--out", "run")
    assert result.exit_code == 0, result.output
    said = visionkit.load("run", device="cpu").description
    assert said.format_version == 2 and not said.preprocessing.upright
    assert "not turned by EXIF marks" in card_text(Path("run/model"))


@pytest.mark.parametrize("mark", MARKS)
def test_steps_turn_a_picture_once(mark: int, tmp_path: Path) -> None:
    upright = Image.fromarray(noise(mark, 60, 40))
    save_marked(upright, mark, tmp_path / "photo.png")
    steps = {"upright": True, "steps": [{"step": "to-tensor", "divisor": 1.0}]}
    preprocessing = Preprocessing(Steps.model_validate(steps), (40, 60))
    expected = preprocessing(upright)
    once = preprocessing.read(tmp_path / "photo.png")
    assert once.size == (60, 40) and torch.equal(preprocessing(once), expected)
    assert torch.equal(preprocessing(tmp_path / "photo.png"), expected)


def test_a_pickled_learner_opens_photos_upright(cli: Cli, trained: Path, tmp_path: Path) -> None:
    assert cli("export", "run", "--to", "fastai", "--out", "learner.pkl").exit_code == 0
    learn = fv.load_learner("learner.pkl")
    image = tmp_path / "data" / "valid" / "newt" / "6.png"
    with learn.no_bar(), learn.no_logging():
        _, _, probabilities = learn.predict(image)
    expected = visionkit.load(trained, device="cpu").predict(image).probabilities
    assert probabilities.numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mark", MARKS)
def test_sheets_show_what_the_network_saw(mark: int, tmp_path: Path) -> None:
    upright = Image.fromarray(noise(mark, 60, 40))
    save_marked(upright, mark, tmp_path / "photo.png")
    assert np.array_equal(thumbnail(tmp_path / "photo.png"), np.asarray(upright))
    stored = np.asarray(Image.open(tmp_path / "photo.png").convert("RGB"))
    assert np.array_equal(thumbnail(tmp_path / "photo.png", upright=False), stored)
    upright.save(tmp_path / "damaged.png", exif=b"Exif\0\0II*\0\xff\xff")
    assert np.array_equal(thumbnail(tmp_path / "damaged.png"), np.asarray(upright))
