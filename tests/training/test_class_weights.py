"""Class weights: from counts, from data sets, from files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import CODES
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.dataset import Dataset
from visionkit.errors import VisionkitError
from visionkit.registry import get_recipe
from visionkit.settings import TrainSettings
from visionkit.training.class_weights import (
    LARGEST_RATIO,
    balanced,
    class_weights,
    read_class_weights,
    tag_weights,
    write_class_weights,
)

NAMES = ["cat", "dog", "fish"]


def opened(recipe: str, folder: Path, **options: object) -> Dataset:
    made = get_recipe(recipe)
    return Dataset.find(made, made.resolved(**options), folder)


def test_labels_weigh_as_much_as_they_are_rare(pets: Path) -> None:
    for number in range(1, 7):
        (pets / "images" / f"Sphynx_{number}.jpg").unlink()
    dataset = opened("pets", pets, class_weights="auto", split="stratified", valid_pct=0.5)
    counts = Counter(str(dataset.targets[index]) for index in dataset.train)
    vocab = sorted(counts)
    assert counts == {"Abyssinian": 4, "Sphynx": 1, "german_shorthaired": 4}
    weights = class_weights(dataset, dataset.settings, vocab)
    assert weights == pytest.approx({"Abyssinian": 0.5, "Sphynx": 2.0, "german_shorthaired": 0.5})


def test_tags_weigh_the_images_without_them(planet: Path) -> None:
    dataset = opened("planet", planet, class_weights="auto")
    train = [dataset.targets[index] for index in dataset.train]
    weights = class_weights(dataset, dataset.settings, ["clear", "haze", "primary"])
    wanted = {}
    for tag in ("clear", "haze", "primary"):
        having = sum(tag in tags for tags in train)
        wanted[tag] = (len(train) - having) / having
    assert weights == pytest.approx(wanted)


def test_codes_weigh_by_their_pixels_in_the_training_masks(camvid: Path) -> None:
    dataset = opened("camvid", camvid, class_weights="auto")
    pixels = np.zeros(4)
    for index in dataset.train:
        with Image.open(dataset.targets[index]) as mask:
            pixels += np.bincount(np.asarray(mask).ravel(), minlength=4)
    inverse = 1 / pixels[:3]
    weights = class_weights(dataset, dataset.settings, CODES)
    assert weights is not None and weights.pop("Void") == 0
    assert list(weights.values()) == pytest.approx(list(inverse / inverse.mean()))


COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)


@given(COUNTS)
def test_balanced_weights(counts: list[int]) -> None:
    weights = balanced(counts)
    present = [(count, weight) for count, weight in zip(counts, weights) if count]
    assert all(weight == 1 for count, weight in zip(counts, weights) if not count)
    if not present:
        return
    assert sum(weight for _, weight in present) / len(present) == pytest.approx(1)
    most, least = max(present)
    for count, weight in present:
        assert weight / least == pytest.approx(min(most / count, LARGEST_RATIO))


@given(st.data(), st.integers(1, 10**6))
def test_weights_of_tags(data: st.DataObject, images: int) -> None:
    counts = data.draw(st.lists(st.integers(0, images), min_size=1, max_size=20))
    for count, weight in zip(counts, tag_weights(counts, images)):
        assert 1 / LARGEST_RATIO <= weight <= LARGEST_RATIO
        if count and 1 / LARGEST_RATIO < weight < LARGEST_RATIO:
            assert weight * count == pytest.approx(images - count)
        if not count:
            assert weight == 1


def from_file(file: Path, vocab: list[str] | None = None) -> dict[str, float] | None:
    return class_weights(None, TrainSettings(class_weights=file), vocab or NAMES)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.csv", "class,weight\ndog,2\ncat,0.5\nfish,0\n"),
        ("w.csv", "\ufeffweight;note;class\n0.5;;cat\n\n2;x;dog\n0;;fish\n"),
        ("w.json", '{"fish": 0, "cat": 0.5, "dog": 2}'),
    ],
)
def test_weights_from_a_file_are_in_the_order_of_the_classes(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    weights = from_file(tmp_path / name)
    assert weights == {"cat": 0.5, "dog": 2.0, "fish": 0.0} and list(weights) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.csv", None, "no such file"),
        ("w.csv", "class,weight\ncat,1\ndog,1\nfsh,1\n", "no class fsh. Did you mean 'fish'?"),
        ("w.csv", "class,weight\ncat,1\n", "no weight for dog, fish."),
        ("w.csv", "class,weight\ncat,1\ncat,2\n", "row 3: cat is there twice"),
        ("w.csv", "class,weight\ncat,heavy\n", "row 2: the weight of cat is heavy"),
        ("w.csv", "class,weight\ncat,-1\n", "row 2: the weight of cat is -1"),
        ("w.csv", "class,weight\ncat,inf\n", "the weight of cat is inf"),
        ("w.csv", "class,weight\ncat,1,2\n", "row 2: 3 values for 2 columns"),
        ("w.csv", "class,weight\ncat,0\ndog,0\nfish,0\n", "all weights are 0"),
        ("w.csv", "class,count\ncat,1\n", "no column 'weight'"),
        ("w.csv", "", "empty"),
        ("w.json", "{", "not a JSON file"),
        ("w.json", "[1, 2]", "one JSON object is needed"),
        ("w.json", '{"cat": true}', "the weight of cat is True"),
        ("w.json", '{"cat": [1]}', "the weight of cat is [1]"),
        ("w.json", '{"cat": 1, "cat": 2}', "cat is there twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_message(
    name: str, text: str | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(VisionkitError) as caught:
        from_file(file)
    assert message in str(caught.value) and str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_may_leave_out_void(camvid: Path, tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    for given_ in ({"Sky": 1, "Road": 2, "Car": 3}, {"Sky": 1, "Road": 2, "Car": 3, "Void": 4}):
        file.write_text(json.dumps(given_))
        dataset = opened("camvid", camvid, class_weights=file)
        weights = class_weights(dataset, dataset.settings, CODES)
        assert weights == {"Sky": 1.0, "Road": 2.0, "Car": 3.0, "Void": 0.0}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.floats(0, 1e30),
        min_size=1,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, weights: dict) -> None:
    file = tmp_path_factory.mktemp("weights") / "class_weights.json"
    write_class_weights(file, weights)
    assert read_class_weights(file) == weights


def test_without_a_data_set_nothing_can_be_counted() -> None:
    assert class_weights(None, TrainSettings(), NAMES) is None
    with pytest.raises(VisionkitError, match="--class-weights auto"):
        class_weights(None, TrainSettings(class_weights="auto"), NAMES)
