"""The list of validation images splits them, and a name that is of no image is refused."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from visionkit.data.splits import validation_list
from visionkit.errors import DataError

IMAGES = [Path(f"images/frame_{number}.png") for number in range(4)]


@pytest.mark.parametrize(
    "content",
    [
        b"frame_3.png\nframe_1.png\n",
        b"frame_3.png\r\nframe_1.png\r\n",
        codecs.BOM_UTF8 + b"frame_3.png\nframe_1.png",
        b"\n  frame_1.png  \n\nframe_3.png\nframe_1.png\n\n",
    ],
    ids=["lines", "line ends of Windows", "byte order mark", "spaces, blanks and twice"],
)
def test_listed_images_validate(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_bytes(content)
    assert validation_list(tmp_path / "valid.txt")(IMAGES) == ([0, 2], [1, 3])


def test_an_empty_list_leaves_all_to_training(tmp_path: Path) -> None:
    (tmp_path / "valid.txt").touch()
    assert validation_list(tmp_path / "valid.txt")(IMAGES) == ([0, 1, 2, 3], [])


def test_the_list_is_read_when_the_images_are_split(tmp_path: Path) -> None:
    split = validation_list(tmp_path / "valid.txt")
    with pytest.raises(DataError, match=r"valid\.txt: there is no such file"):
        split(IMAGES)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"frame_1.png\nframe_8.png\nframe_9.png\n", ["2 of its 3 names", "frame_8.png, frame_9.png"]),
        (b"frame_1\n", ["1 of its 1 names", "frame_1"]),
        (b"images/frame_1.png\n", ["images/frame_1.png"]),
        (b"frame_1.PNG\n", ["frame_1.PNG"]),
        ("größe.png\n".encode("latin-1"), ["UTF-8"]),
    ],
    ids=["not there", "no ending", "with folder", "another case", "Latin-1"],
)
def test_bad_lists_are_refused(content: bytes, named: list[str], tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        validation_list(tmp_path / "valid.txt")(IMAGES)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "valid.txt"))
    assert all(part in message for part in named), message
