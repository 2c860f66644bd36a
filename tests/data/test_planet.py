"""The test chips of planet: both folders, in the order of their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionkit.data.planet import test_chips
from visionkit.data.sample_submission import by_row
from visionkit.errors import DataError

test_chips.__test__ = False  # type: ignore[attr-defined]  # a function of the package, called so


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_both_folders_in_the_order_of_numbers(tmp_path: Path) -> None:
    nested = "test-jpg-additional/test-jpg-additional"
    touch(
        tmp_path, *(f"test-jpg/test_{n}.jpg" for n in (10, 2, 1)), f"{nested}/file_3.jpg", "train-jpg/a.jpg"
    )
    assert [chip.stem for chip in test_chips(tmp_path)] == ["test_1", "test_2", "test_10", "file_3"]
    assert [chip.stem for chip in test_chips(tmp_path / "test-jpg")] == ["test_1", "test_2", "test_10"]


def test_none_are_missed(tmp_path: Path) -> None:
    touch(tmp_path, "train-jpg/train_0.jpg")
    with pytest.raises(DataError, match=r"no test chips .*visionkit data planet --test fetches them"):
        test_chips(tmp_path)
    (tmp_path / "test-jpg").mkdir()
    with pytest.raises(DataError, match="no test chips"):
        test_chips(tmp_path)


@given(st.lists(st.integers(0, 10**5), min_size=1, max_size=30, unique=True))
def test_rows_name_each_image(numbers: list[int]) -> None:
    images = [Path(f"test-jpg/test_{number}.jpg") for number in numbers]
    named = by_row(images, lambda image: image.stem)
    assert list(named.values()) == images and list(named) == [f"test_{number}" for number in numbers]
    with pytest.raises(DataError, match="Keep one of the two"):
        by_row([*images, images[0].with_suffix(".png")], lambda image: image.stem)
