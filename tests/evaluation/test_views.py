"""Views for test-time augmentation: each is undone, and the recipe's augmentation says which to take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from visionkit.data.dataset import Dataset
from visionkit.errors import UsageError
from visionkit.evaluation.views import Views, suitable_views
from visionkit.inference.description import Steps
from visionkit.registry import get_recipe

STEPS = Steps.model_validate(
    {"steps": [{"step": "resize", "width": 48, "height": 32, "method": "squish"}, {"step": "to-tensor"}]}
)


@dataclass
class Model:
    """Stands in for a predictor: outputs are a simple function of the inputs, which are remembered."""

    task: str
    function: Any
    size: tuple[int, int] = (32, 48)
    vocab: tuple[str, ...] = ("one",)
    steps: Steps = STEPS
    seen: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def description(self) -> Any:
        return SimpleNamespace(input_size=list(self.size), preprocessing=self.steps)

    def outputs(self, batch: Tensor) -> Tensor:
        self.seen.append(tuple(batch.shape))
        return self.function(batch)

    def activations(self, outputs: Tensor) -> Tensor:
        return outputs


def mean(name: Any, model: Any, images: Tensor) -> Tensor:
    return Views(name, model).mean(images, None)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from(["flips", "dihedral"]), st.sampled_from([(6, 6), (4, 7), (7, 4)])
)
def test_masks_come_back_to_where_they_were(seed: int, name: str, size: tuple[int, int]) -> None:
    """What a network without a sense of direction says of every view is the same, once it is undone."""
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed))
    model = Model("segmentation", lambda batch: torch.stack([batch[:, 0], 1 - batch[:, 1]], dim=1), size)
    assert torch.allclose(mean(name, model, images), model.function(images), atol=1e-6)
    square = size[0] == size[1]
    assert len(model.seen) == {"flips": 2, "dihedral": 8 if square else 4}[name]
    assert len(set(model.seen)) == 1


def test_all_views_of_an_image_are_different() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    seen: list[Tensor] = []
    mean(
        "dihedral",
        Model("single-label", lambda batch: seen.append(batch) or batch.mean((2, 3)), (3, 3)),
        image,
    )
    assert len({tuple(view.ravel().tolist()) for view in seen}) == 8


def test_points_are_mirrored_back() -> None:
    """The brightest column, from -1 to 1, is where it was."""
    images = torch.zeros(1, 3, 4, 5)
    images[..., 2, 1] = 1

    def brightest(batch: Tensor) -> Tensor:
        row, column = divmod(int(batch[0, 0].argmax()), batch.shape[-1])
        return torch.tensor([[[2 * (column + 0.5) / 5 - 1, 2 * (row + 0.5) / 4 - 1]]])

    assert torch.allclose(mean("flips", Model("keypoints", brightest, (4, 5)), images), brightest(images))


def test_scales_are_multiples_of_32_and_brought_back() -> None:
    model = Model("segmentation", lambda batch: batch[:, :2], (64, 96))
    images = torch.full((2, 3, 64, 96), 0.25)
    found = mean("scales", model, images)
    assert found.shape == (2, 2, 64, 96) and torch.allclose(found, torch.tensor(0.25))
    assert [shape[-2:] for shape in model.seen] == [(64, 96), (64, 64), (96, 128)]


def test_crops_are_cut_from_a_larger_image() -> None:
    model = Model("multi-label", lambda batch: batch.mean(dim=(2, 3)))
    views = Views("crops", model)  # type: ignore[arg-type]
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    larger = views.larger(picture)
    assert larger is not None and larger.shape == (3, 37, 55)
    plain = torch.zeros(1, 3, 32, 48)
    found = views.mean(plain, larger[None])
    assert len(model.seen) == 11 and set(model.seen) == {(1, 3, 32, 48)}
    assert (found > 0).all()
    unresized = Steps.model_validate({"steps": [{"step": "to-tensor"}]})
    with pytest.raises(UsageError, match="without resizing"):
        Views("crops", Model("single-label", None, steps=unresized))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "name"), [("segmentation", "crops"), ("single-label", "scales"), ("keypoints", "dihedral")]
)
def test_views_that_do_not_go_with_the_task_are_refused(task: str, name: Any) -> None:
    with pytest.raises(UsageError, match=f"--tta {name}: does not go with {task}; flips"):
        Views(name, Model(task, None))  # type: ignore[arg-type]


def test_pairs_of_points_cannot_be_mirrored() -> None:
    with pytest.raises(UsageError, match="which of the 2 points are pairs"):
        Views("flips", Model("keypoints", None, vocab=("left eye", "right eye")))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dataset", "views"),
    [("pets", "flips"), ("planet", "dihedral"), ("camvid", "flips")],
    indirect=["dataset"],
)
def test_the_recipes_augmentation_says_which_views(dataset: tuple[str, Path], views: str) -> None:
    name, folder = dataset
    recipe = get_recipe(name)
    assert suitable_views(Dataset.find(recipe, recipe.resolved(), folder)) == views


def test_what_is_not_mirrored_in_training_is_cropped(pets: Path) -> None:
    for photo in list((pets / "images").iterdir()):
        (pets / "classes" / photo.stem[:3]).mkdir(parents=True, exist_ok=True)
        photo.rename(pets / "classes" / photo.stem[:3] / photo.name)
    recipe = get_recipe("folder")
    for flip, views in ((True, "flips"), (False, "crops")):
        dataset = Dataset.find(recipe, recipe.resolved(flip=flip), pets / "classes")
        assert suitable_views(dataset) == views
