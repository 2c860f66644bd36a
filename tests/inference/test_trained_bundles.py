"""The bundle of a training predicts what the training's own validation predicts, for every task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from conftest import FAST, Cli, train_fast
from torch import Tensor

import visionkit
from visionkit.evaluation.points import predict_points
from visionkit.inference.bundle import write_bundle
from visionkit.runs import Run
from visionkit.sources.base import Store
from visionkit.training.restore import restore

pytestmark = pytest.mark.usefixtures("unpainted")


def agrees(run: Path) -> tuple[Any, Any, Any]:
    """The probabilities of all validation images are those of `get_preds`; model, Learner and data set."""
    model = visionkit.load(run, device="cpu")
    assert model.description.exact and model.description.caveat is None
    learn, dataset = restore(Run.read(run), "cpu", Store(run.parent / "store"))
    with learn.no_bar(), learn.no_logging():
        expected, _ = learn.get_preds(ds_idx=1)
    images = [dataset.images[index] for index in dataset.valid]
    outputs = model.outputs(torch.stack([model.preprocess(image) for image in images]))
    found = model.activations(outputs).reshape(expected.shape)
    assert (found - expected.as_subclass(Tensor)).abs().max() <= 1e-5
    assert list(model.vocab) == dataset.task.vocab(learn.dls)
    return model, learn, dataset


@pytest.mark.parametrize("options", [[], ["--loss", "bce", "--dropout", "0"], ["--presize", "40"]])
def test_labels(cli: Cli, pets: Path, options: list[str]) -> None:
    result = train_fast(cli, "pets", pets, *options, "--out", "run")
    assert result.exit_code == 0 and "otherwise" not in result.output, result.output
    model, _, dataset = agrees(Path("run"))
    image = dataset.images[dataset.valid[0]]
    said = model.predict(image)
    assert said.label in model.vocab and said.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_tags_after_another_size(cli: Cli, planet: Path) -> None:
    """In bf16, and with a moving average; at the second of two sizes."""
    options = ["--size", 32, "--then", 48, *FAST, "--precision", "bf16", "--ema", 0.9, "--threshold", 0.3]
    result = cli("planet", "--data", planet, *options, "--out", "run")
    assert result.exit_code == 0, result.output
    model = visionkit.load("run", device="cpu")
    assert model.description.input_size == [48, 48] and model.description.thresholds == 0.3
    learn, dataset = restore(Run.read(Path("run")), "cpu", Store(Path("store")))
    inputs = torch.cat([batch[0].as_subclass(Tensor) for batch in learn.dls.valid])
    with torch.no_grad():
        expected = learn.model.eval()(inputs).sigmoid().as_subclass(Tensor)
    images = [dataset.images[index] for index in dataset.valid]
    for said, probabilities in zip(model.predict(images), expected.numpy(), strict=True):
        assert said.probabilities == pytest.approx(probabilities, abs=1e-5)
        assert list(said.tags) == [name for name, p in zip(model.vocab, probabilities) if p > 0.3]


def test_masks(cli: Cli, camvid: Path) -> None:
    result = train_fast(cli, "camvid", camvid, "--size", 21, "--then", 36, "--epochs", 1, "--out", "run")
    assert result.exit_code == 0, result.output
    model, learn, dataset = agrees(Path("run"))
    with learn.no_bar(), learn.no_logging():
        expected = learn.get_preds(ds_idx=1)[0].argmax(dim=1)
    images = [dataset.images[index] for index in dataset.valid]
    for said, codes in zip(model.predict(images, batch=1), expected.numpy(), strict=True):
        assert said.codes.shape == (36, 48) and (said.codes == codes).mean() > 0.999


def test_points_are_in_pixels_of_the_file(cli: Cli, heads: Path) -> None:
    result = cli("headpose", "--data", heads, "--size", 32, *FAST, "--bs", 2, "--out", "run")
    assert result.exit_code == 0, result.output
    model, learn, dataset = agrees(Path("run"))
    expected = predict_points(learn, dataset, list(model.vocab))
    found = np.array([said.points for said in model.predict(expected.images)])
    assert found == pytest.approx(expected.predicted, abs=1e-3)


class Negative(fv.Transform):
    """A user's own transform, of which a bundle knows nothing."""

    def encodes(self, image: fv.TensorImage) -> fv.TensorImage:
        return -image


def test_what_cannot_be_captured_is_told_and_stops_no_training(cli: Cli, pets: Path) -> None:
    result = train_fast(cli, "pets", pets, "--out", "run")
    assert result.exit_code == 0, result.output
    learn, dataset = restore(Run.read(Path("run")), "cpu", Store(Path("store")))
    notes: list[str] = []

    def write(metrics: dict[str, float]) -> Any:
        notes.clear()
        write_bundle(Path("model"), learn, dataset, dataset.settings, metrics, notes.append)
        return json.loads(Path("model/model.json").read_text())

    assert write({"accuracy": 0.5, "other": float("nan")})["metrics"] == {"accuracy": 0.5, "other": None}
    assert notes == []
    first = learn.dls.valid.after_batch.fs
    learn.dls.valid.after_batch.fs = [*first, Negative()]
    said = write({})
    assert not said["exact"] and said["caveat"] == "nothing is known of the transform Negative"
    assert len(notes) == 1 and "visionkit.load may predict otherwise: nothing is known" in notes[0]
    with pytest.warns(UserWarning, match="Negative"):
        visionkit.load("model", device="cpu")

    learn.dls.valid.after_batch.fs = first
    learn.model[1].append(torch.nn.Tanh())
    Path("model/model.json").unlink()
    with pytest.raises(FileNotFoundError):
        write({})
    assert len(notes) == 1 and "model.json is not written" in notes[0] and "Tanh" in notes[0]


def test_a_network_that_answers_differently_is_told(cli: Cli, pets: Path) -> None:
    result = train_fast(cli, "pets", pets, "--out", "run")
    assert result.exit_code == 0, result.output
    learn, dataset = restore(Run.read(Path("run")), "cpu", Store(Path("store")))
    learn.model.register_forward_hook(lambda model, inputs, output: output + 1)
    write_bundle(Path("model"), learn, dataset, dataset.settings, {})
    assert json.loads(Path("model/model.json").read_text())["caveat"] == (
        "the network that is built again answers differently"
    )
