"""One look at a file tells what it is, and raises nothing, whatever is in it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from checks.pictures import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.checks.facts import ImageFacts, look, look_at_mask

WHOLE = {
    "JPEG": encoded(picture(1), "JPEG"),
    "JPEG progressive": encoded(picture(1), "JPEG", progressive=True),
    "JPEG CMYK": encoded(picture(1).convert("CMYK"), "JPEG"),
    "JPEG grey": encoded(picture(1).convert("L"), "JPEG"),
    "PNG": encoded(picture(1), "PNG"),
    "PNG palette": encoded(picture(1).convert("P"), "PNG"),
    "PNG alpha": encoded(picture(1).convert("RGBA"), "PNG"),
    "PNG grey": encoded(picture(1).convert("L"), "PNG"),
    "GIF": encoded(picture(1).convert("P"), "GIF"),
    "GIF animated": encoded(
        picture(1), "GIF", save_all=True, append_images=[picture(2), picture(3)], duration=100
    ),
    "WEBP": encoded(picture(1), "WEBP"),
    "WEBP lossless": encoded(picture(1), "WEBP", lossless=True),
    "TIFF": encoded(picture(1), "TIFF"),
    "TIFF lzw": encoded(picture(1), "TIFF", compression="tiff_lzw"),
    "BMP": encoded(picture(1), "BMP"),
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Pillow warns about damaged extras; a scan silences it."""
    warnings.simplefilter("ignore")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("look") / "file.bin"


def seen(place: Path, content: bytes) -> ImageFacts:
    place.write_bytes(content)
    return look(place)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_image_has_no_fault(name: str, place: Path) -> None:
    facts = seen(place, WHOLE[name])
    assert facts.fault is None and facts.fault_kind == ""
    assert (facts.width, facts.height) == (80, 64)
    assert facts.format == name.split()[0]
    assert facts.bytes == len(WHOLE[name])
    assert facts.frames == (3 if "animated" in name else 1)
    assert len(facts.digest) == 32 and facts.phash is not None and facts.dhash is not None


def test_modes_are_those_of_the_file(place: Path) -> None:
    modes = {
        name: seen(place, WHOLE[name]).mode for name in ("JPEG", "JPEG CMYK", "JPEG grey", "PNG palette")
    }
    assert modes == {"JPEG": "RGB", "JPEG CMYK": "CMYK", "JPEG grey": "L", "PNG palette": "P"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty file"),
        (b"<html><title>404 Not Found</title></html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) show\n", "not an image"),
        (WHOLE["JPEG"][:20], "damaged"),
        (WHOLE["WEBP"][:100], "damaged"),
        (WHOLE["JPEG"][: len(WHOLE["JPEG"]) // 2], "truncated"),
        (WHOLE["PNG"][: len(WHOLE["PNG"]) // 2], "truncated"),
        (WHOLE["TIFF"][: len(WHOLE["TIFF"]) // 2], "truncated"),
    ],
)
def test_faults_have_kinds(content: bytes, kind: str, place: Path) -> None:
    facts = seen(place, content)
    assert facts.fault_kind == kind
    assert facts.fault


def test_what_is_no_file_is_a_fault(tmp_path: Path) -> None:
    assert look(tmp_path / "gone.jpg").fault_kind == "missing file"
    assert look(tmp_path).fault_kind == "unreadable file"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert look(tmp_path / "pipe.jpg").fault_kind == "unreadable file"
    assert look(Path("no\0name.jpg")).fault_kind == "unreadable file"


def test_a_decompression_bomb_is_not_decoded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert seen(place, WHOLE["PNG"]).fault_kind == "too large"


def test_a_file_that_may_not_be_read_is_no_bad_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write_bytes(WHOLE["PNG grey"])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    for facts in (look(place), look_at_mask(place)):
        assert facts.fault_kind == "unreadable file" and "Permission denied" in (facts.fault or "")


def test_a_large_file_is_read_in_pieces(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = seen(place, WHOLE["PNG"])
    monkeypatch.setattr("visionkit.checks.facts.LARGE", 100)
    assert seen(place, WHOLE["PNG"]) == at_once


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_has_the_hash_of_the_upright_one(turn: int, place: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    stored = encoded(picture(1), "PNG", exif=exif)
    facts = seen(place, stored)
    assert facts.orientation == turn
    upright = seen(place, encoded(ImageOps.exif_transpose(Image.open(place)), "PNG"))
    assert upright.orientation == 1
    assert facts.phash is not None and upright.phash is not None
    assert (facts.phash ^ upright.phash).bit_count() <= 2


def test_flat_pictures_have_no_hash(place: Path) -> None:
    facts = seen(place, encoded(Image.new("RGB", (64, 64), "navy"), "PNG"))
    assert facts.fault is None and facts.phash is None and facts.dhash is None


def test_sixteen_bits_are_scaled_for_the_hash(place: Path) -> None:
    grey = np.asarray(picture(1).convert("L"))
    eight = seen(place, encoded(Image.fromarray(grey), "PNG"))
    sixteen = seen(place, encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"))
    assert sixteen.mode.startswith("I")
    assert eight.phash is not None and sixteen.phash is not None
    assert (eight.phash ^ sixteen.phash).bit_count() <= 4


@given(
    name=st.sampled_from(sorted(WHOLE)),
    cut=st.floats(0, 1),
    spots=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
@settings(max_examples=250, deadline=None)
def test_damage_of_any_kind_raises_nothing(
    place: Path, name: str, cut: float, spots: list[tuple[float, int]]
) -> None:
    content = bytearray(WHOLE[name])
    for spot, value in spots:
        content[int(spot**3 * len(content))] = value  # more often in the headers
    content = content[: int(cut * len(content))]
    facts = seen(place, bytes(content))
    assert (facts.fault is None) == (facts.fault_kind == "")
    assert facts.bytes == len(content)
    if content == WHOLE[name]:
        assert facts.fault is None
    mask = look_at_mask(place)
    assert (mask.fault is None) == (mask.fault_kind == "")


@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]),
    rest=st.binary(max_size=300),
)
@settings(max_examples=200, deadline=None)
def test_random_bytes_raise_nothing(place: Path, start: bytes, rest: bytes) -> None:
    facts = seen(place, start + rest)
    assert facts.bytes == len(start + rest)
    assert facts.path == place
    look_at_mask(place)


@given(
    name=st.sampled_from([name for name in sorted(WHOLE) if name.startswith(("JPEG", "PNG"))]),
    part=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=200, deadline=None)
def test_a_file_that_is_cut_in_its_pixels_is_faulted(place: Path, name: str, part: float) -> None:
    # a PNG ends in 12 bytes that mark the end, 8 of checksums and the end of compression: no pixels
    last = len(WHOLE[name]) - (24 if name.startswith("PNG") else 0)
    facts = seen(place, WHOLE[name][: int(part * last)])
    assert facts.fault_kind in ("empty file", "not an image", "damaged", "truncated")


def test_a_mask_tells_its_pixels(place: Path) -> None:
    codes = np.zeros((4, 6), dtype=np.uint8)
    codes[:2, :3] = 7
    place.write_bytes(encoded(Image.fromarray(codes), "PNG"))
    mask = look_at_mask(place)
    assert (mask.width, mask.height, mask.pixels, mask.highest) == (6, 4, {0: 18, 7: 6}, 7)


def test_a_mask_in_colours_is_a_fault(place: Path, tmp_path: Path) -> None:
    place.write_bytes(WHOLE["PNG"])
    mask = look_at_mask(place)
    assert mask.fault_kind == "bad mask" and "mode RGB" in (mask.fault or "")
    assert not (mask.fault or "").startswith(str(place))
    assert look_at_mask(tmp_path / "gone.png").fault_kind == "missing file"
