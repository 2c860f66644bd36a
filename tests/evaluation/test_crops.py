"""Crops for test-time augmentation: where they lie, and that their mean is taken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FAST, Cli, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.evaluation.crops import take_crops

pytestmark = pytest.mark.usefixtures("unpainted")


def test_where_the_crops_lie() -> None:
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    corners = [crop[0, 0, 0, 0].item() for crop in take_crops(image, 4, 5)]
    assert corners == [7, 0, 2, 12, 14], "centre, then the corners"
    ten = list(take_crops(image, 4, 10))
    assert len(ten) == 10
    assert all(torch.equal(plain.flip(-1), mirrored) for plain, mirrored in zip(ten[::2], ten[1::2]))


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 5), st.integers(0, 5), st.sampled_from([5, 10]))
def test_every_crop_has_the_size(size: int, down: int, right: int, count: int) -> None:
    crops = list(take_crops(torch.rand(2, 3, size + down, size + right), size, count))
    assert len(crops) == count
    assert all(crop.shape == (2, 3, size, size) for crop in crops)


def test_mean_over_crops(tmp_path: Path) -> None:
    """A network that says how bright an image is says of ten crops what their mean brightness is."""
    from visionkit.recipes import pets as recipe

    from visionkit.data.dataset import Dataset
    from visionkit.evaluation.crops import crop_probabilities
    from visionkit.sources.base import Store

    (tmp_path / "images").mkdir()
    for number in range(1, 13):
        breed = "dark" if number % 2 else "light"
        Image.fromarray(noise(number, 40, 40)).save(tmp_path / "images" / f"{breed}_{number}.png")
    chosen = recipe.recipe.resolved(
        size=28, presize=32, arch="squeezenet1_1", pretrained=False, bs=4, workers=0
    )
    dataset = Dataset.open(recipe.recipe, chosen, tmp_path, Store(tmp_path / "store"))

    class Brightness(torch.nn.Module):
        sizes: list[int]

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.sizes.append(images.shape[-1])
            mean = images.mean(dim=(1, 2, 3))
            return torch.stack([mean, -mean], dim=1)

    learn = recipe.learner(dataset.dataloaders(28))
    learn.model = Brightness()
    learn.model.sizes = []
    found = crop_probabilities(learn, dataset, 28, 10)
    assert found.shape == (len(dataset.valid), 2)
    assert set(learn.model.sizes) == {28}

    from visionkit.models.architectures import find_architecture
    from visionkit.training.learner import normalize

    dls = dataset.dataloaders(32)
    normalize(dls, *find_architecture("squeezenet1_1").normalization)
    expected = []
    for images, _ in dls.valid:
        means = [crop.mean(dim=(1, 2, 3)) for crop in take_crops(images, 28, 10)]
        expected += torch.stack([torch.sigmoid(2 * mean) for mean in means]).mean(dim=0).tolist()
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("crops", ["0", "5"])
def test_recorded_where_asked_for(cli: Cli, fashion: Path, crops: str) -> None:
    result = cli("fashionai", "--data", fashion, "--size", 32, *FAST, "--tta-crops", crops, "--out", "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads(Path("run/run.json").read_text())["metrics"]
    judged = {"accuracy", "error_rate", "average_precision", "reciprocal_rank"}
    if crops == "5":
        judged |= {"accuracy_tta", "average_precision_tta"}
    assert set(metrics) == judged
    assert all(0 <= value <= 1 for value in metrics.values())
    assert json.loads(Path("run/model/model.json").read_text())["metrics"] == metrics


def test_only_five_or_ten(cli: Cli, fashion: Path) -> None:
    result = cli("fashionai", "--data", fashion, "--tta-crops", "7")
    assert result.exit_code == 2
    assert "--tta-crops" in result.output and "'7'" in result.output and "'10'" in result.output
