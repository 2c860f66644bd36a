"""What is read of a cache's folder: images as they were written, and nothing of a damaged or hostile one."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cache.drawn import KEY, built, kept
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.cache.stored import Stored, Writer


@settings(max_examples=30, deadline=None)
@given(
    sides=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=6),
    channels=st.sampled_from([1, 3]),
    kind=st.sampled_from([np.uint8, np.float32]),
    masks=st.booleans(),
)
def test_images_come_back_as_they_were_written(
    sides: list[tuple[int, int]],
    channels: int,
    kind: type[Any],
    masks: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(len(sides))
    pictures = [rng.integers(0, 256, (*each, channels)).astype(kind) for each in sides]
    writer = Writer(folder, {"kind": "training"})
    for picture in pictures:
        mask = picture[..., 0].astype(np.uint8) if masks else None
        writer.add(kept(0)._replace(pixels=picture, mask=mask))
    writer.finish()
    stored = Stored(folder)
    assert len(stored) == len(pictures)
    assert stored.bytes == sum(picture.nbytes for picture in pictures)
    assert stored.shape == (sides[0] if len(set(sides)) == 1 else None)
    for place, picture in enumerate(pictures):
        assert np.array_equal(stored.image(place), picture)
        if masks:
            assert np.array_equal(stored.mask(place), picture[..., 0].astype(np.uint8))


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path: Path) -> None:
    writer = Writer(tmp_path, {})
    with pytest.raises(ValueError, match="mask"):
        writer.add(kept(3, masks=True)._replace(mask=np.zeros((3, 3), np.uint8)))
    writer.close()


def test_copies_share_the_files(tmp_path: Path) -> None:
    stored = built(tmp_path)
    for other in (copy.deepcopy(stored), pickle.loads(pickle.dumps(stored))):
        assert isinstance(other.pixels, np.memmap)
        assert np.array_equal(other.image(4), stored.image(4))


def test_images_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        built(tmp_path).image(0)[:] = 0


WRONG_ABOUT = {
    "text": "images",
    "empty": "",
    "list": "[]",
    "deep": "[" * 60_000,
    "long": " " * 100_000 + "{}",
    "no images": "{}",
    "addresses": {"dtype": "object"},
    "python": {"dtype": "O8"},
    "list of types": {"dtype": ["uint8"]},
    "no channels": {"channels": 0},
    "negative channels": {"channels": -3},
    "true channels": {"channels": True},
    "broken channels": {"channels": 3.0},
    "more images": {"images": 6},
    "fewer images": {"images": 4},
    "masks": {"masks": True},
    "bytes as floats": {"dtype": "float32"},
}


@pytest.mark.parametrize("wrong", WRONG_ABOUT)
def test_a_description_that_is_wrong_is_not_believed(wrong: str, tmp_path: Path) -> None:
    built(tmp_path)
    file = tmp_path / KEY / "cache.json"
    found = WRONG_ABOUT[wrong]
    text = found if isinstance(found, str) else json.dumps({**json.loads(file.read_text()), **found})
    file.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError)):
        Stored(tmp_path / KEY)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        *[(2, 0, value) for value in (-1, 0, 10**9, 2**62, -(2**62))],
        *[(2, 1, value) for value in (-8, 0, 9, 2**40, 2**62)],
        *[(4, 2, value) for value in (-12, 0, 13, 2**31, 2**63 - 1)],
        *[(0, 3, value) for value in (-1, 0)],
        *[(0, 4, value) for value in (-1, 2**62)],
    ],
)
def test_an_index_that_points_elsewhere_is_not_believed(
    row: int, column: int, value: int, tmp_path: Path
) -> None:
    built(tmp_path)
    index = np.load(tmp_path / KEY / "index.npy")
    index[row, column] = value
    np.save(tmp_path / KEY / "index.npy", index)
    with pytest.raises(ValueError, match="not whole"):
        Stored(tmp_path / KEY)


def head(shape: str, kind: str = "<i8") -> bytes:
    """The head of a .npy file that says this of itself."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        b"\x80\x04N.",
        head("(1000000000000, 5)"),
        head("(-1, 5)"),
        head("(5, 5)", "|O"),
        head("(5, 5)", "<f8") + bytes(200),
        head("(25,)") + bytes(200),
        head("(__import__('os'),)"),
    ],
)
def test_an_index_that_is_no_table_is_not_believed(content: bytes, tmp_path: Path) -> None:
    built(tmp_path)
    (tmp_path / KEY / "index.npy").write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        Stored(tmp_path / KEY)


@pytest.mark.parametrize("length", [0, 1, -1, -100])
def test_a_file_of_another_length_is_not_believed(length: int, tmp_path: Path) -> None:
    built(tmp_path)
    pixels = tmp_path / KEY / "pixels.bin"
    content = pixels.read_bytes()
    pixels.write_bytes(content[:length] if length < 1 else content + bytes(length))
    with pytest.raises(ValueError, match=r"whole|size"):
        Stored(tmp_path / KEY)
