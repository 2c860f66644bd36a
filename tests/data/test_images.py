"""Images are found by their endings, and those that do not decode are named."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visionkit.checks.scan import scan_images
from visionkit.checks.training import refuse_undecodable
from visionkit.data.images import image_files
from visionkit.data.problems import gathering, skipping
from visionkit.errors import DataError
from visionkit.progress import Silence


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
        refuse_undecodable(scan_images(files, None, Silence()))


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
