"""The balance of classes and tags, and names that mean the same."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from conftest import REAL_DATA
from hypothesis import given
from hypothesis import strategies as st

from visionkit.checks.labels import label_balance, label_problems, similar_names
from visionkit.data.problems import Problem


def problems(train: list[list[str]], valid: list[list[str]], multiple: bool = False) -> dict[str, Problem]:
    labels = {Path(f"{number}.jpg"): names for number, names in enumerate(train + valid)}
    parts = {path: "train" if place < len(train) else "valid" for place, path in enumerate(labels)}
    return {each.kind: each for each in label_problems(labels, parts, multiple)}


CLEAN = [["cat"]] * 20 + [["dog"]] * 15


def test_balanced_classes_have_no_problem() -> None:
    assert problems(CLEAN, CLEAN) == {}
    assert problems([["haze", "road"]] * 20, [["road", "haze"]] * 5, multiple=True) == {}


def test_imbalance_is_a_warning_for_classes_and_a_note_for_tags() -> None:
    train = [["cat"]] * 200 + [["dog"]] * 12
    assert problems(train, CLEAN[10:25])["imbalance"].severity == "warning"
    found = problems(train, CLEAN[10:25], multiple=True)["imbalance"]
    assert found.severity == "note"
    assert "'cat' has 210 images and 'dog' 17 images" in found.message


def test_rare_ones_are_named() -> None:
    found = problems([*CLEAN, ["ferret"], ["goat"], ["goat"]], [*CLEAN, ["goat"]], multiple=True)
    assert found["tag that occurs once"].files == (Path("35.jpg"),)
    assert "'ferret'" in found["tag that occurs once"].message
    assert "'goat' (3)" in found["few images"].message and "ferret" not in found["few images"].message


def test_classes_of_one_part_only_are_named() -> None:
    found = problems([*CLEAN, *[["ferret"]] * 10], [*CLEAN, *[["goat"]] * 10])
    assert found["not in training"].severity == "error"
    assert len(found["not in training"].files) == 10 and "'goat'" in found["not in training"].message
    assert (
        found["not in validation"].severity == "warning" and "'ferret'" in found["not in validation"].message
    )
    tags = problems(CLEAN, [*CLEAN, *[["goat"]] * 10], multiple=True)
    assert tags["not in training"].severity == "warning"


def test_without_a_split_nothing_is_missing() -> None:
    labels = {Path(f"{number}.jpg"): ["cat" if number % 2 else "dog"] for number in range(40)}
    assert label_problems(labels, {}, multiple=False) == []
    assert [(each.name, each.other) for each in label_balance(labels, {})] == [("cat", 20), ("dog", 20)]


def test_images_without_a_tag_are_named() -> None:
    found = problems([*CLEAN, []], CLEAN, multiple=True)["no tag"]
    assert found.files == (Path("35.jpg"),)


def test_a_single_class_is_an_error() -> None:
    assert problems([["cat"]] * 20, [["cat"]] * 20)["only one class"].severity == "error"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("haze", "Haze"),
        ("partly_cloudy", "partly cloudy"),
        ("partly-cloudy", "PartlyCloudy"),
        ("class_1", "class 1"),
        ("car", "cars"),
        ("berry", "berries"),
        ("bench", "benches"),
        ("agriculture", "agricultre"),
        ("agriculture", "agricullture"),
        ("habitation", "habitatoin"),
        ("cultivation", "cultivatiom"),
        ("ｗａｔｅｒ", "water"),
    ],
)
def test_names_that_mean_the_same_are_found(one: str, other: str) -> None:
    assert similar_names([other, "something else", one]) == [tuple(sorted((one, other)))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("class_1", "class_2"),
        ("class_1", "class_11"),
        ("building 12", "building 13"),
        ("car", "cat"),
        ("bus", "bug"),
        ("stable", "staple"),
        ("C", "C++"),
        ("A+", "A#"),
        ("english_setter", "irish_setter"),
        ("conventional_mine", "artisinal_mine"),
        ("glass", "grass"),
    ],
)
def test_names_that_differ_are_left_alone(one: str, other: str) -> None:
    assert similar_names([one, other]) == []


@given(st.lists(st.text(max_size=12), unique=True, max_size=12))
def test_any_names_can_be_compared(names: list[str]) -> None:
    pairs = similar_names(names)
    assert pairs == similar_names(names[::-1])
    assert all(one in names and other in names and one != other for one, other in pairs)


@pytest.mark.real_data
def test_six_hundred_real_names_give_no_false_alarm() -> None:
    table = REAL_DATA / "openimages" / "class-descriptions-boxable.csv"
    if not table.is_file():
        pytest.skip(f"{table} is not there")
    with table.open(encoding="utf-8") as file:
        names = [row[1] for row in csv.reader(file)]
    assert len(names) > 500 and similar_names(names) == []
