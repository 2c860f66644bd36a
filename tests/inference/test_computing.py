"""Predictions of many images: the same whatever batch, threads and number format, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Cli, noise
from inference.stored import stored_bundle
from PIL import Image
from torch import nn
from torchvision import models as torchvision_models

import visionkit
from visionkit.errors import DataError, UsageError
from visionkit.inference.prepared import prepared
from visionkit.inference.results import LabelPrediction, MaskPrediction, Prediction, TagPrediction

TASKS = ("single-label", "multi-label", "segmentation", "keypoints")
COUNT = 21


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for each task in `models`, and `COUNT` images of several sizes in `photos`."""
    place = tmp_path_factory.mktemp("computing")
    for task in TASKS:
        stored_bundle(place / "models" / task, task)
    (place / "photos").mkdir()
    for number in range(COUNT):
        picture = Image.fromarray(noise(number, 40 + number, 60 - number))
        picture.save(place / "photos" / f"{number:02}.png")
    return place


@pytest.fixture
def threads() -> Iterator[None]:
    """Torch computes with as many threads as before, afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def photos(folder: Path) -> list[Path]:
    return sorted((folder / "photos").iterdir())


def figures(said: Prediction) -> np.ndarray:
    if isinstance(said, LabelPrediction | TagPrediction):
        return said.probabilities
    return said.shares if isinstance(said, MaskPrediction) else said.points


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("task", TASKS)
def test_batches_and_threads_change_nothing(folder: Path, task: str) -> None:
    """One by one, step by step and in any batches; and torch has the threads that it had."""
    torch.set_num_threads(1)
    model = visionkit.load(folder / "models" / task, "cpu")
    images = photos(folder)
    expected = []
    for image in images:
        value, size = model.input_of(image)
        expected += model.decode(model.outputs(value[None]), [size])
    tolerance = 2e-3 if task in ("segmentation", "keypoints") else 1e-5  # shares and pixels
    for cores, batch, count in ((1, 5, COUNT), (2, 16, COUNT), (3, 40, COUNT), (2, 32, 3), (1, 1, 2)):
        torch.set_num_threads(cores)
        found = model.predict(images[:count], batch)
        assert torch.get_num_threads() == cores
        for said, alone in zip(found, expected[:count], strict=True):
            assert type(said) is type(alone)
            assert figures(said) == pytest.approx(figures(alone), abs=tolerance)


@pytest.mark.parametrize("task", TASKS)
def test_a_faster_copy_answers_as_the_weights_do(folder: Path, task: str) -> None:
    model = visionkit.load(folder / "models" / task, "cpu")
    inputs = torch.stack([model.preprocess(image) for image in photos(folder)[:3]])
    with torch.inference_mode():
        expected = model.model(inputs)
    torch.testing.assert_close(model.outputs(inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("arch", ["mobilenet_v2", "resnet18", "densenet121"])
def test_normalisation_is_folded_without_a_trace(arch: str) -> None:
    """Also with statistics that a training has moved; the network that was given stays as it is."""
    torch.manual_seed(1)
    network = torchvision_models.get_model(arch, weights=None, num_classes=7).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(0.5, 1.5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
        found = prepared(network, torch.device("cpu"))(images)
    assert (found - expected).abs().max() <= 1e-4 * max(1, float(expected.abs().max()))
    after = network.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_networks_lose_normalisation() -> None:
    network = prepared(
        torchvision_models.mobilenet_v2(weights=None, num_classes=7).eval(), torch.device("cpu")
    )
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize("task", TASKS)
def test_bf16_is_near(folder: Path, task: str) -> None:
    exact = visionkit.load(folder / "models" / task, "cpu")
    near = visionkit.load(folder / "models" / task, "cpu", "bf16")
    images = photos(folder)
    tolerance = {"keypoints": 1.0, "segmentation": 0.05}.get(task, 0.03)
    for one, two in zip(exact.predict(images), near.predict(images)):
        assert figures(two) == pytest.approx(figures(one), abs=tolerance)
    assert near.precision == "bf16" and near.outputs(near.preprocess(images[0])[None]).dtype == torch.float32


def test_what_a_device_has_not_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="--precision fp16: needs a CUDA GPU"):
        visionkit.load(folder / "models" / "single-label", "cpu", "fp16")
    with pytest.raises(UsageError, match="give one of auto, fp32"):
        visionkit.load(folder / "models" / "single-label", "cpu", "int8")  # type: ignore[arg-type]
    model = visionkit.load(folder / "models" / "single-label", "cpu", "auto")
    assert model.precision in ("fp32", "bf16")


def test_a_fault_comes_in_its_place(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    model = visionkit.load(folder / "models" / "single-label", "cpu")
    found = model.predict_each([*photos(folder)[:9], broken, *photos(folder)], batch=4)
    for _ in range(8):
        next(found)
    with pytest.raises(DataError, match=r"broken\.jpg: "):
        list(found)


def test_no_more_images_are_begun_than_two_batches(folder: Path) -> None:
    """Any number of images can be given, also one after the other without an end."""
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield photos(folder)[taken % COUNT]

    found = visionkit.load(folder / "models" / "single-label", "cpu").predict_each(endless(), batch=16)
    for _ in range(3):
        next(found)
    found.close()
    assert taken <= 3 * 16


def test_tables_are_of_one_precision(cli: Cli, folder: Path) -> None:
    """Going on in another number format is refused, in both directions; the same goes on."""
    run, images = folder / "models" / "single-label", folder / "photos"
    call = ["predict", run, images, "--device", "cpu"]
    for one, other in (("fp32", "bf16"), ("bf16", "fp32")):
        out = f"{one}.csv"
        assert cli(*call, "--precision", one, "--out", out).exit_code == 0
        before = Path(out).read_bytes()
        refused = cli(*call, "--precision", other, "--out", out)
        assert refused.exit_code != 0 and "with another precision" in refused.output
        assert "nothing to do" in cli(*call, "--precision", one, "--out", out).output
        assert Path(out).read_bytes() == before
