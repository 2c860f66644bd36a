"""Every kind of split: each image in one part, shares and groups kept, the same for the same seed."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

from visionkit.data.problems import skipping
from visionkit.data.splits import SPLIT_FILE, Splits, write_split
from visionkit.data.splitting import split_images
from visionkit.errors import DataError, UsageError
from visionkit.settings import TrainSettings

FOLDER = Path("/data")


def images(count: int, pattern: str = "images/{0}.jpg") -> list[Path]:
    return [FOLDER / pattern.format(number) for number in range(count)]


def unasked() -> Splits:
    raise AssertionError("the recipe's own split is not wanted here")


def split(files: list[Path], targets: list[Any], folder: Path = FOLDER, **options: Any) -> Splits:
    return split_images(TrainSettings(**options), files, targets, folder, unasked)


def assert_partition(parts: Splits, count: int) -> None:
    train, valid = parts
    assert sorted(train + valid) == list(range(count))
    assert train and valid


def test_the_recipe_s_own_is_the_default() -> None:
    assert split_images(TrainSettings(), images(3), list("aab"), FOLDER, lambda: ([0, 2], [1])) == (
        [0, 2],
        [1],
    )


@cases(max_examples=60, deadline=None)
@given(count=st.integers(10, 200), seed=st.integers(0, 1000), part=st.floats(0.1, 0.9))
def test_random(count: int, seed: int, part: float) -> None:
    options = {"split": "random", "seed": seed, "valid_pct": part}
    parts = split(images(count), ["a"] * count, **options)
    assert_partition(parts, count)
    assert abs(len(parts[1]) - part * count) <= 1
    assert parts == split(images(count), ["b"] * count, **options)


@cases(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(5, 60), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_stratified_keeps_the_share_of_every_label(sizes: list[int], seed: int) -> None:
    labels = [f"class {label}" for label, size in enumerate(sizes) for _ in range(size)]
    parts = split(images(len(labels)), labels, split="stratified", seed=seed)
    assert_partition(parts, len(labels))
    held = Counter(labels[index] for index in parts[1])
    for label, size in enumerate(sizes):
        assert abs(held[f"class {label}"] - 0.2 * size) <= 1


def test_stratified_with_a_class_of_one_image() -> None:
    labels = ["rare", *["a"] * 20, *["b"] * 20]
    train, valid = split(images(41), labels, split="stratified")
    assert 0 in train and len(valid) == 8


@cases(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_stratified_keeps_the_share_of_every_tag(seed: int) -> None:
    """Iterative stratification is closer to the share of rare tags than chance is."""
    random = np.random.default_rng(seed)
    shares = {"clear": 0.7, "primary": 0.9, "road": 0.2, "mine": 0.05}
    tags = [[tag for tag, share in shares.items() if random.random() < share] for _ in range(400)]
    parts = split(images(400), tags, split="stratified", seed=seed)
    assert_partition(parts, 400)
    for tag in shares:
        whole = sum(tag in row for row in tags)
        held = sum(tag in tags[index] for index in parts[1])
        assert abs(held - 0.2 * whole) <= max(2, 0.03 * whole)


@cases(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 12), min_size=5, max_size=20),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["recipe", "random", "stratified"]),
    folds=st.sampled_from([None, 2, 3]),
)
def test_groups_stay_together(sizes: list[int], seed: int, kind: str, folds: int | None) -> None:
    files = [
        FOLDER / f"cam{video}_frame{frame}.png" for video, size in enumerate(sizes) for frame in range(size)
    ]
    labels = [("a", "b")[index % 2] for index in range(len(files))]
    options: dict[str, Any] = {"split": kind, "seed": seed, "group_by": r"cam(\d+)_", "folds": folds}
    parts = split(files, labels, **options)
    assert_partition(parts, len(files))
    videos = [{files[index].name.split("_")[0] for index in part} for part in parts]
    assert not videos[0] & videos[1]


@cases(max_examples=40, deadline=None)
@given(
    folds=st.integers(2, 6),
    kind=st.sampled_from(["recipe", "random", "stratified"]),
    tagged=st.booleans(),
    seed=st.integers(0, 99),
)
def test_folds_cover_every_image_once(folds: int, kind: str, tagged: bool, seed: int) -> None:
    targets: list[Any] = [["a", "b"][: 1 + index % 2] if tagged else "ab"[index % 2] for index in range(60)]
    held: list[int] = []
    for fold in range(1, folds + 1):
        parts = split(images(60), targets, split=kind, folds=folds, fold=fold, seed=seed)
        assert_partition(parts, 60)
        held += parts[1]
    assert sorted(held) == list(range(60))


def test_by_folder() -> None:
    names = ["train/a/1.jpg", "valid/a/1.jpg", "Training/2.jpg", "x/val/a/2.jpg", "test/a/1.jpg", "3.jpg"]
    files = [FOLDER / name for name in names]
    assert split(files, list("aaaaaa"), split="folder") == ([0, 2], [1, 3])
    with pytest.raises(DataError, match="no image in a folder called valid"):
        split(files[:1], ["a"], split="folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_by_a_list(folder: Path, tmp_path: Path) -> None:
    files = [folder / name for name in ("a/1.jpg", "b/1.jpg", "b/2.jpg")]
    (tmp_path / "valid.txt").write_text("2.jpg\na/1.jpg\n")
    assert split(files, list("aab"), folder, split=str(tmp_path / "valid.txt")) == ([1], [0, 2])
    (tmp_path / "valid.txt").write_text("1.jpg\n")
    with pytest.raises(DataError, match=r"1\.jpg may mean any of a/1\.jpg, b/1\.jpg"):
        split(files, list("aab"), folder, split=str(tmp_path / "valid.txt"))
    (tmp_path / "valid.txt").write_text("2.jpg\nc/4.jpg\n")
    with pytest.raises(DataError, match=r"1 of its names are of no image .*c/4\.jpg"):
        split(files, list("aab"), folder, split=str(tmp_path / "valid.txt"))
    with skipping(frozenset({folder / "c/4.jpg"})):
        assert split(files, list("aab"), folder, split=str(tmp_path / "valid.txt")) == ([0, 1], [2])


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12)


@cases(max_examples=100, deadline=None)
@given(
    names=st.sets(NAMES.filter(lambda name: name not in (".", "..")), min_size=2, max_size=12), data=st.data()
)
def test_a_run_s_split_is_read_as_it_was_written(
    names: set[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    files = [FOLDER / "images" / name for name in sorted(names)]
    valid = data.draw(st.sets(st.integers(0, len(files) - 1), min_size=1, max_size=len(files) - 1))
    left_out = data.draw(st.sets(st.integers(0, len(files) - 1)))
    train = [index for index in range(len(files)) if index not in valid | left_out]
    write_split(run / SPLIT_FILE, files, train, sorted(valid), FOLDER)
    labels = ["a"] * len(files)
    assert split(files, labels, split=str(run)) == (train, sorted(valid))
    assert split(files, labels, split=str(run / SPLIT_FILE)) == (train, sorted(valid))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "not the split of a run"),
        ([["name", "part"]], "not the split of a run"),
        ([["image", "part"], ["a.jpg", "test"]], "row 2: an image and train, valid or none"),
        ([["image", "part"], ["a.jpg", "train"], ["a.jpg", "valid"]], "row 3: a.jpg is there twice"),
        ([["image", "part"], ["a.jpg", "train"], ["c.jpg", "valid"]], "of no image in .*: c.jpg"),
        ([["image", "part"], ["a.jpg", "train"]], "says nothing about 1 of the images in .*: b.jpg"),
    ],
)
def test_a_damaged_or_foreign_split_is_refused(rows: list[list[str]], message: str, tmp_path: Path) -> None:
    with (tmp_path / SPLIT_FILE).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(DataError, match=message):
        split([tmp_path / "a.jpg", tmp_path / "b.jpg"], ["a", "b"], tmp_path, split=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "stratifed"}, UsageError, "neither recipe, random, stratified or folder"),
        ({"split": "folder", "folds": 3}, UsageError, "--folds does not go with it"),
        ({"split": "folder", "group_by": "x"}, UsageError, "--group-by does not go with it"),
        ({"fold": 2}, UsageError, "--fold 2: there are no folds"),
        ({"folds": 3, "fold": 4}, UsageError, "--fold 4: there are 3 folds"),
        ({"folds": 11}, DataError, "10 images cannot make 11 folds"),
        ({"group_by": "("}, UsageError, "not a regular expression"),
        ({"group_by": "frame"}, DataError, "finds nothing"),
        ({"group_by": "(x)?images"}, DataError, "finds nothing"),
        ({"group_by": "images"}, DataError, "all images into one group"),
        ({"group_by": r"\d", "folds": 20}, DataError, "10 images cannot make 20 folds"),
        ({"split": "stratified", "valid_pct": 0.01}, DataError, "Take --split random"),
    ],
)
def test_wrong_wishes(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        split(images(10), ["a", "b"] * 5, **options)


def test_masks_and_tags_know_limits() -> None:
    with pytest.raises(UsageError, match="masks have no label"):
        split(images(4), images(4), split="stratified")
    with pytest.raises(UsageError, match="either tags or groups"):
        split(images(4), [["a"], ["b"], ["a"], ["b"]], split="stratified", group_by=r"\d")
