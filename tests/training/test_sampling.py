"""Weighted sampling: which images are drawn, and how often."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fastai.torch_core import set_seed
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.dataset import Dataset
from visionkit.registry import get_recipe
from visionkit.training.sampling import rarity, sampling_weights

EPOCHS = 300


def opened(recipe: str, folder: Path, **options: object) -> Dataset:
    made = get_recipe(recipe)
    settings = made.resolved(bs=4, workers=0, weighted_sampling=True, **options)
    return Dataset.find(made, settings, folder)


@given(st.lists(st.sampled_from("aaaaabbc"), min_size=1))
def test_every_class_has_the_same_chance(labels: list[str]) -> None:
    weights = rarity([(label,) for label in labels])
    for label in set(labels):
        assert sum(w for w, each in zip(weights, labels) if each == label) == pytest.approx(
            1 / len(set(labels))
        )


def test_the_rarest_of_several_decides() -> None:
    weights = rarity([["a"], ["a", "b"], ["a", "b", "c"], ["a"], [], []])
    assert weights / weights[0] == pytest.approx([1, 2, 4, 1, 2, 2])
    assert weights.sum() == pytest.approx(1)


def test_drawn_images_are_balanced_over_the_classes(pets: Path) -> None:
    for number in range(1, 7):
        (pets / "images" / f"Sphynx_{number}.jpg").unlink()
    dataset = opened("pets", pets, split="stratified", valid_pct=0.5)
    labels = [str(dataset.targets[index]) for index in dataset.train]
    assert Counter(labels) == {"Abyssinian": 4, "Sphynx": 1, "german_shorthaired": 4}
    set_seed(7)
    dls = dataset.dataloaders(32)
    assert len(dls.train) == len(labels) // 4 and dls.train.n == len(labels)
    drawn: Counter[str] = Counter()
    for _ in range(EPOCHS):
        indices = dls.train.get_idxs()
        assert len(indices) == len(labels)
        drawn.update(labels[index] for index in indices)
    draws = EPOCHS * len(labels)
    deviation = (draws * 1 / 3 * 2 / 3) ** 0.5
    assert len(drawn) == 3
    for count in drawn.values():
        assert abs(count - draws / 3) < 4 * deviation
    vocab = list(dls.vocab)
    batches = [vocab[label] for _ in range(20) for _, labels in dls.train for label in labels]
    assert batches.count("Sphynx") > len(batches) / 5, "a ninth of the images"


def test_the_order_hangs_on_the_seed_and_validation_is_as_ever(pets: Path) -> None:
    dataset = opened("pets", pets)
    orders = []
    for seed in (1, 1, 2):
        set_seed(seed)
        orders.append(list(dataset.dataloaders(32).train.get_idxs()))
    assert orders[0] == orders[1] != orders[2]
    valid = dataset.dataloaders(32).valid
    assert list(valid.get_idxs()) == list(range(len(dataset.valid)))
    plain = Dataset.find(dataset.recipe, dataset.settings.replaced(weighted_sampling=False), pets)
    assert sorted(plain.dataloaders(32).train.get_idxs()) == list(range(len(dataset.train)))


def test_tags(planet: Path) -> None:
    dataset = opened("planet", planet)
    tags = [set(dataset.targets[index]) for index in dataset.train]
    counts = Counter(tag for each in tags for tag in each)
    wanted = np.array([1 / min(counts[tag] for tag in each) for each in tags])
    assert sampling_weights(dataset) == pytest.approx(wanted / wanted.sum())


def test_masks_by_their_rarest_code_but_void(camvid: Path) -> None:
    for number in (0, 1):
        file = camvid / "labels" / f"frame_{number}_P.png"
        mask = np.asarray(Image.open(file)).copy()
        mask[mask == (3 if number else 2)] = 0  # no Void in frame 1, no Car in all but it
        Image.fromarray(mask).save(file)
    for number in range(2, 8):
        file = camvid / "labels" / f"frame_{number}_P.png"
        mask = np.asarray(Image.open(file)).copy()
        mask[mask == 2] = 0
        Image.fromarray(mask).save(file)
    dataset = opened("camvid", camvid)
    names = [dataset.images[index].name for index in dataset.train]
    weights = dict(zip(names, sampling_weights(dataset)))
    assert weights["frame_1.png"] == pytest.approx(8 / (8 + 7))
    assert {round(weight, 9) for name, weight in weights.items() if name != "frame_1.png"} == {
        round(1 / 15, 9)
    }
