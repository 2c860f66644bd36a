"""Images are found by their endings, and those that do not decode are named."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.data.images import check_images, decode_fault, image_files
from visionkit.data.problems import gathering, skipping
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


def test_only_files_are_images(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    (tmp_path / "link_to_folder.jpg").symlink_to(tmp_path / "folder.jpg")
    (tmp_path / "link_to_pipe.jpg").symlink_to(tmp_path / "pipe.jpg")
    assert image_files(tmp_path) == [tmp_path / "a.jpg"]


def test_links_to_files_are_images_and_broken_ones_are_named_when_decoded(tmp_path: Path) -> None:
    written(tmp_path / "whole.jpg", GOOD["photo.jpg"])
    (tmp_path / "link.jpg").symlink_to("whole.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    files = image_files(tmp_path)
    assert [file.name for file in files] == ["dangling.jpg", "link.jpg", "loop.jpg", "whole.jpg"]
    with pytest.raises(DataError, match=r"2 images do not decode: .*dangling\.jpg .*, .*loop\.jpg "):
        check_images(files)


def test_images_in_sub_folders(tmp_path: Path) -> None:
    for name in (
        "b.jpg",
        "a/b.jpg",
        "a/c/d.jpg",
        "a/.hidden.jpg",
        ".git/e.jpg",
        "x.jpg/f.jpg",
        "g/notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert image_files(tmp_path) == [tmp_path / "b.jpg"]
    below = ["a/b.jpg", "a/c/d.jpg", "b.jpg", "x.jpg/f.jpg"]
    assert image_files(tmp_path, recursive=True) == [tmp_path / name for name in below]
    with pytest.raises(DataError, match="no images in this folder or below it"):
        image_files(tmp_path / "g", recursive=True)


def test_skipped_images_are_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    with skipping(frozenset({tmp_path / "b.jpg", tmp_path.parent / "a.jpg"})):
        assert image_files(tmp_path) == [tmp_path / "a.jpg"]
    with (
        skipping(frozenset(tmp_path.iterdir())),
        pytest.raises(DataError, match="all 2 images are in the list of those to skip"),
    ):
        image_files(tmp_path)


@pytest.mark.parametrize("unreadable", ["", "a"])
def test_a_folder_that_may_not_be_read_is_named(
    unreadable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    scandir = os.scandir

    def denied(path: str) -> object:  # tests may run as root, who may read everything
        if Path(path) == tmp_path / unreadable:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError) as caught:
        image_files(tmp_path, recursive=True)
    assert str(caught.value) == f"{tmp_path / unreadable}: the folder cannot be read (Permission denied)."


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "images").touch()
    with pytest.raises(DataError, match="images: there is no such folder"):
        image_files(tmp_path / "images")


def test_names_that_are_not_utf8_are_refused_in_a_message_that_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").touch()
    try:
        (folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    with pytest.raises(DataError, match=r"images: the image's name caf\\xe9\.jpg is not UTF-8") as caught:
        image_files(folder)
    assert str(caught.value).encode()
    with gathering() as problems:
        assert image_files(folder) == [folder / "a.jpg"]
    assert [(problem.kind, problem.files) for problem in problems] == [("name not UTF-8", ())]
    folder = folder.rename(tmp_path / os.fsdecode(b"\xe9"))
    with pytest.raises(DataError, match=r"/\\xe9: the folder's name is not UTF-8") as caught:
        image_files(folder)
    assert str(caught.value).encode()


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
