"""Identical images and images that look alike, within a part and across parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.pictures import clean_folder, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from visionkit.checks.duplicates import NEAR_DHASH, NEAR_PHASH, DuplicateGroup, find_duplicates
from visionkit.checks.facts import ImageFacts
from visionkit.checks.report import check_folder
from visionkit.checks.result import CheckReport
from visionkit.progress import Silence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "data")


def checked(folder: Path) -> CheckReport:
    return check_folder(folder, None, Silence())


def copied(folder: Path, source: str, target: str) -> Path:
    (folder / target).write_bytes((folder / source).read_bytes())
    return folder / target


def test_identical_images_within_a_part(folder: Path) -> None:
    copy = copied(folder, "train/cat/cat_0.jpg", "train/cat/copy.jpg")
    report = checked(folder)
    assert [(each.kind, each.severity) for each in report.problems] == [("duplicates", "warning")]
    assert "train/cat/cat_0.jpg = train/cat/copy.jpg" in report.problems[0].message
    assert report.excluded() == [copy]


def test_a_leak_loses_the_copy_for_training(folder: Path) -> None:
    copied(folder, "train/cat/cat_0.jpg", "valid/cat/other.jpg")
    report = checked(folder)
    assert [(each.kind, each.severity) for each in report.problems] == [("leak", "warning")]
    assert report.duplicates[0].crosses
    assert report.excluded() == [folder / "train/cat/cat_0.jpg"]


def test_identical_images_with_different_labels_are_all_left_out(folder: Path) -> None:
    copy = copied(folder, "train/cat/cat_0.jpg", "train/dog/copy.jpg")
    report = checked(folder)
    assert [each.kind for each in report.problems] == ["contradicting labels", "duplicates"]
    assert "train/cat/cat_0.jpg (cat) = train/dog/copy.jpg (dog)" in report.problems[0].message
    assert report.excluded() == [folder / "train/cat/cat_0.jpg", copy]


ALIKE: dict[str, Any] = {
    "saved again": lambda image: (image, {"quality": 50}),
    "smaller": lambda image: (image.resize((60, 48)), {"quality": 90}),
    "brighter": lambda image: (ImageEnhance.Brightness(image).enhance(1.1), {"quality": 90}),
}


@pytest.mark.parametrize("how", ALIKE)
@pytest.mark.parametrize(("part", "kind"), [("train", "near duplicates"), ("valid", "near leak")])
def test_images_that_look_alike(how: str, part: str, kind: str, folder: Path) -> None:
    changed, options = ALIKE[how](picture(1))
    copy = folder / part / "cat" / "copy.jpg"
    changed.save(copy, **options)
    report = checked(folder)
    assert [each.kind for each in report.problems] == [kind]
    assert set(report.problems[0].files) == {copy, folder / "train/cat/cat_0.jpg"}
    assert report.excluded() == []


def test_flat_images_do_not_look_alike(folder: Path) -> None:
    for shade in range(0, 250, 10):
        Image.new("RGB", (64, 64), (shade, shade, 0)).save(folder / "train" / "cat" / f"flat_{shade}.png")
    assert checked(folder).problems == []


def test_broken_images_are_no_duplicates(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / "train" / "cat" / f"{name}.jpg").touch()
    report = checked(folder)
    assert {each.kind for each in report.problems} == {"empty file"} and report.duplicates == []


def facts(phashes: Any, dhashes: Any, digest: str = "") -> list[ImageFacts]:
    return [
        ImageFacts(Path(f"{number:07}.jpg"), 1, digest=digest or str(number), phash=int(one), dhash=int(two))
        for number, (one, two) in enumerate(zip(phashes, dhashes))
    ]


def grouped(images: list[ImageFacts]) -> list[set[int]]:
    groups = find_duplicates(images, {}, {})
    return sorted(({int(file.stem) for file in group.files} for group in groups), key=min)


def by_every_pair(phashes: list[int], dhashes: list[int]) -> list[set[int]]:
    """The same by comparing each with each."""
    groups = [{number} for number in range(len(phashes))]
    for one in range(len(phashes)):
        for other in range(one):
            if (phashes[one] ^ phashes[other]).bit_count() > NEAR_PHASH:
                continue
            if (dhashes[one] ^ dhashes[other]).bit_count() > NEAR_DHASH:
                continue
            joined = next(group for group in groups if one in group)
            second = next(group for group in groups if other in group)
            if joined is not second:
                joined |= second
                groups.remove(second)
    return sorted((group for group in groups if len(group) > 1), key=min)


@given(
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    members=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(st.integers(0, 63), max_size=9, unique=True),
            st.lists(st.integers(0, 63), max_size=14, unique=True),
        ),
        max_size=30,
    ),
)
@settings(max_examples=200, deadline=None)
def test_the_fast_way_finds_what_comparing_each_with_each_finds(
    seeds: list[int], members: list[tuple[int, list[int], list[int]]]
) -> None:
    phashes = [seeds[seed % len(seeds)] ^ sum(1 << bit for bit in bits) for seed, bits, _ in members]
    dhashes = [sum(1 << bit for bit in bits) for _, _, bits in members]
    assert grouped(facts(phashes, dhashes)) == by_every_pair(phashes, dhashes)


def test_many_images_of_one_hash_are_one_group() -> None:
    (group,) = find_duplicates(facts([7] * 20_000, [7] * 20_000), {}, {})
    assert group.kind == "near" and len(group.files) == 20_000
    (group,) = find_duplicates(facts([7] * 20_000, [7] * 20_000, "same"), {}, {})
    assert group.kind == "exact" and len(group.files) == 20_000


def test_pairs_among_many_are_found() -> None:
    random = np.random.default_rng(0)
    phashes, dhashes = random.integers(0, 2**64, (2, 30_000), dtype=np.uint64)
    phashes[1::1000] = phashes[::1000] ^ np.uint64(1 << 63 | 1 << 17 | 1 << 40)
    dhashes[1::1000] = dhashes[::1000]
    assert grouped(facts(phashes, dhashes)) == [{place, place + 1} for place in range(0, 30_000, 1000)]


@pytest.mark.slow
def test_many_hashes_that_share_bytes_are_no_trouble() -> None:
    random = np.random.default_rng(0)
    phashes = random.permutation(1 << 14).astype(np.uint64)
    dhashes = random.integers(0, 2**64, 1 << 14, dtype=np.uint64)
    dhashes[phashes == 12345] = dhashes[phashes == 12344] = np.uint64(99)
    groups = grouped(facts(phashes, dhashes))
    wanted = {int(np.flatnonzero(phashes == 12345)[0]), int(np.flatnonzero(phashes == 12344)[0])}
    assert any(wanted <= group for group in groups)


@given(st.lists(st.sampled_from(["train", "valid", "test", ""]), min_size=2, max_size=6))
def test_what_is_left_of_a_group_is_never_the_copy_for_training(parts: list[str]) -> None:
    images = facts([0] * len(parts), [0] * len(parts), "same")
    by_path = {each.path: part for each, part in zip(images, parts)}
    groups: list[DuplicateGroup] = find_duplicates(images, by_path, {})
    out = CheckReport(Path(), None, {}, [], duplicates=groups).excluded()
    (left,) = set(by_path) - set(out)
    best = next(part for part in ("test", "valid", "train", "") if part in parts)
    assert by_path[left] == best
    assert groups[0].crosses == (len(set(parts) - {""}) > 1)
