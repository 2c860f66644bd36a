"""Index masks keep their codes through every file format, and faulty ones are told apart before training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from visionkit.data.frames import frame_size
from visionkit.data.masks import (
    open_mask,
    read_codes,
    read_mask,
    void_index,
)
from visionkit.errors import DataError

CODES = ["Sky", "Road", "Car", "Void"]
# Brightness runs against the index: a conversion to mode L would turn the codes around.
PALETTE = [value for index in range(256) for value in (255 - index, 255 - index, index)]


def some_codes(height: int = 6, width: int = 9, codes: int = 4) -> np.ndarray:
    return (np.arange(height * width, dtype=np.uint8) % codes).reshape(height, width)


def as_palette(codes: np.ndarray) -> Image.Image:
    picture = Image.fromarray(codes).copy()
    picture.putpalette(PALETTE)
    assert picture.mode == "P"
    return picture


def saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (b"Sky\nRoad\n", ["Sky", "Road"]),
        (b"Sky\r\nRoad\r\n", ["Sky", "Road"]),
        (b"\xef\xbb\xbfSky\nRoad", ["Sky", "Road"]),
        (b" Sky \nRoad\n\n\n", ["Sky", "Road"]),
        ("Straße\n道路\n".encode(), ["Straße", "道路"]),
    ],
)
def test_codes_are_the_lines(text: bytes, codes: list[str], tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_bytes(text)
    assert read_codes(tmp_path / "codes.txt") == codes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file"),
        (b"", "0 code"),
        (b"Sky\n", "1 code"),
        (b"Sky\nRoad\nSky\n", "'Sky' stands there more than once"),
        ("Straße\nStadt\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_bad_codes_are_refused(text: bytes | None, reason: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "codes.txt").write_bytes(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_codes(tmp_path / "codes.txt")
    assert "codes.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "index"),
    [(CODES, 3), (["void", "Sky"], 0), (["Sky", "Road"], None), (["Avoid", "Sky"], None)],
)
def test_void_is_found_by_name(codes: list[str], index: int | None) -> None:
    assert void_index(codes) == index


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16", "I"])
def test_every_index_mode_gives_the_codes(mode: str, tmp_path: Path) -> None:
    codes = some_codes(codes=2 if mode == "1" else 4)
    pictures = {
        "L": lambda: Image.fromarray(codes),
        "P": lambda: as_palette(codes),
        "1": lambda: Image.fromarray(codes * 255).convert("1"),
        "I;16": lambda: Image.fromarray(codes.astype(np.uint16)),
        "I": lambda: Image.fromarray(codes.astype(np.int32)),
    }
    path = saved(pictures[mode](), tmp_path / ("mask.tif" if mode == "I" else "mask.png"))
    with Image.open(path) as opened:
        assert opened.mode == mode
    read = read_mask(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, codes)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_pictures_are_no_masks(mode: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray(some_codes()).convert(mode), tmp_path / "mask.png")
    with pytest.raises(DataError, match=rf"mask\.png: .* mode {mode};.* index mask"):
        read_mask(path)


def test_values_beyond_a_byte_are_refused(tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.full((4, 4), 256, dtype=np.uint16)), tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"mask\.png: .* value 256"):
        read_mask(path)


@pytest.mark.parametrize("kept", [0, 10, 60, 0.5, 0.9])
def test_a_truncated_mask_is_refused(kept: float, tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (80, 80), dtype=np.uint8)
    path = saved(Image.fromarray(codes), tmp_path / "mask.png")
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(DataError, match=r"mask\.png: the mask does not decode"):
        read_mask(path)


def test_a_missing_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask\.png: the mask does not decode"):
        read_mask(tmp_path / "mask.png")


def test_a_mask_of_immense_size_is_refused(tmp_path: Path) -> None:
    """The size in a BMP's header is believed before any pixel is read."""
    path = saved(Image.fromarray(some_codes()), tmp_path / "mask.bmp")
    content = bytearray(path.read_bytes())
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mask\.bmp: the mask does not decode .*decompression bomb"):
        read_mask(path)


@given(
    codes=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)),
    palette=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_masks_round_trip_through_png(codes: np.ndarray, palette: bool) -> None:
    with TemporaryDirectory() as folder:
        file = saved(as_palette(codes) if palette else Image.fromarray(codes), Path(folder, "mask.png"))
        np.testing.assert_array_equal(read_mask(file), codes)


@pytest.mark.parametrize("palette", [False, True])
def test_fastai_gets_the_same_codes(palette: bool, tmp_path: Path) -> None:
    from fastai.vision.core import PILMask

    codes = some_codes()
    mask = open_mask(saved(as_palette(codes) if palette else Image.fromarray(codes), tmp_path / "mask.png"))
    assert isinstance(mask, PILMask)
    np.testing.assert_array_equal(np.asarray(mask), codes)


@pytest.mark.parametrize(
    ("width", "height", "wanted", "size"),
    [(480, 360, 180, (180, 240)), (960, 720, 45, (45, 60)), (100, 30, 45, (45, 150)), (1, 90, 10, (10, 1))],
)
def test_frames_keep_their_aspect(
    width: int, height: int, wanted: int, size: tuple[int, int], tmp_path: Path
) -> None:
    assert frame_size([saved(Image.new("L", (width, height)), tmp_path / "frame.png")], wanted) == size
