"""Images are found by their endings, and those that do not decode are named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.images import check_images, decode_fault, image_files
from visionkit.errors import DataError


def encoded(kind: str, mode: str = "RGB", side: int = 64) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_images_are_sorted_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.jpeg", "d.webp", "e.TIF", ".hidden.jpg", "._a.PNG", "notes.txt", "jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.PNG", "b.jpg", "c.jpeg", "d.webp", "e.TIF"]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images: there is no such folder"):
        image_files(tmp_path / "images")


@pytest.mark.parametrize("name", [None, ".hidden.jpg", "notes.txt"])
def test_a_folder_without_images_is_refused(name: str | None, tmp_path: Path) -> None:
    if name:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"no images in this folder .*\.jpg"):
        image_files(tmp_path)


GOOD = {
    "photo.jpg": encoded("JPEG"),
    "satellite.jpg": encoded("JPEG", "CMYK"),
    "grey.jpg": encoded("JPEG", "L"),
    "gif_in_truth.jpg": encoded("GIF", "P"),
    "transparent.png": encoded("PNG", "RGBA"),
    "palette.png": encoded("PNG", "P"),
    "photo.webp": encoded("WEBP"),
    "scan.tif": encoded("TIFF"),
}


def test_good_images_have_no_fault(tmp_path: Path) -> None:
    paths = [written(tmp_path / name, content) for name, content in GOOD.items()]
    assert [decode_fault(path) for path in paths] == [None] * len(paths)
    check_images(paths)
    check_images(iter([]))


BAD = {
    "empty.jpg": (b"", "empty file"),
    "text.jpg": (b"<html><title>404 Not Found</title></html>", "not an image"),
    "header_only.jpg": (encoded("JPEG")[:20], ""),
    "half.jpg": (encoded("JPEG")[: len(encoded("JPEG")) // 2], "truncated"),
    "half_cmyk.jpg": (encoded("JPEG", "CMYK")[: len(encoded("JPEG", "CMYK")) // 2], "truncated"),
    "nearly.jpg": (encoded("JPEG")[:-200], "truncated"),
    "half.png": (encoded("PNG")[: len(encoded("PNG")) // 2], "truncated"),
}


@pytest.mark.parametrize("name", BAD)
def test_images_that_do_not_decode_are_named(name: str, tmp_path: Path) -> None:
    content, reason = BAD[name]
    path = written(tmp_path / name, content)
    assert reason in (decode_fault(path) or "no fault")
    good = written(tmp_path / "good.jpg", GOOD["photo.jpg"])
    with pytest.raises(DataError, match="an image does not decode") as caught:
        check_images([good, path, path])
    assert str(path) in str(caught.value)
    assert str(good) not in str(caught.value)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    assert decode_fault(tmp_path / "gone.jpg") == "there is no such file"


def test_many_faults_are_counted(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{number}.jpg", b"") for number in range(8)]
    with pytest.raises(DataError, match=r"8 images do not decode: .*0\.jpg .*4\.jpg .* and 3 more"):
        check_images(paths)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@given(
    name=st.sampled_from(["photo.jpg", "satellite.jpg", "gif_in_truth.jpg", "palette.png", "photo.webp"]),
    cut=st.floats(0.05, 1),
    spots=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_damage_of_any_kind_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, cut: float, spots: list[tuple[float, int]]
) -> None:
    content = bytearray(GOOD[name])
    for place, value in spots:
        content[int(place**3 * len(content))] = value  # more often in the headers
    path = written(tmp_path_factory.getbasetemp() / name, content[: int(cut * len(content))])
    fault = decode_fault(path)
    assert fault is None or fault
