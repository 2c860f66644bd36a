"""Reading ahead: order, faults, what is fetched and deleted; and where files for images belong."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from conftest import noise
from http_host import http_host
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visionkit.errors import DataError, UsageError
from visionkit.inference.image_sources import Unusable
from visionkit.inference.inputs import Input, named_inputs, names_with_list
from visionkit.inference.reading import in_batches, in_order, read_images


def test_in_order_whatever_takes_long(tmp_path: Path) -> None:
    threads = set()

    def make(image: Path | Image.Image) -> str:
        threads.add(threading.get_ident())
        assert isinstance(image, Path)
        time.sleep(0.01 * (int(image.stem) % 3))
        if int(image.stem) % 5 == 0:
            raise DataError("five")
        return image.stem

    images = [f"{number}.png" for number in range(20)]
    images.insert(7, Unusable("gone", "no such file"))  # type: ignore[arg-type]
    readings = list(read_images(images, make, threads=4, ahead=6))
    assert [each.name for each in readings] == [getattr(each, "name", each) for each in images]
    assert [each.fault for each in readings if each.fault] == ["five", "five", "no such file", "five", "five"]
    assert all(each.made == Path(each.name).stem for each in readings if each.fault is None)
    assert 1 < len(threads) <= 4


def test_no_more_than_asked_for_is_read(tmp_path: Path) -> None:
    begun = []
    steps = in_order(begun.append, iter(range(1_000)), threads=1, ahead=5)
    for _ in range(10):
        next(steps)
    steps.close()
    assert len(begun) <= 16
    assert [len(batch) for batch in in_batches(range(10), 4)] == [4, 4, 2]


def test_fetched_images_are_deleted(tmp_path: Path) -> None:
    Image.fromarray(noise(1, 20, 10)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    seen: list[Path] = []

    def make(image: Path | Image.Image) -> tuple[int, int]:
        assert isinstance(image, Path)
        seen.append(image)
        with Image.open(image) as picture:
            return picture.size

    with http_host() as host:
        images = [host.serve("/a.png", content), host.url + "/gone.png", tmp_path / "a.png"]
        readings = list(read_images(images, make, threads=2, ahead=2))
    assert [each.made for each in readings] == [(20, 10), None, (20, 10)]
    assert readings[1].fault is not None and "404" in readings[1].fault
    assert not seen[0].exists() and not seen[0].parent.exists() and (tmp_path / "a.png").exists()


def test_places_keep_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "a/b/1.jpg", "c/2.tar.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(1, 20, 10)).save(tmp_path / "x.png")
        Path(name).write_bytes(Path("x.png").read_bytes())
    names = ["a", str(tmp_path / "a" / "b"), "c/2.tar.png", "?/*/*.jpg", "gone.png", "../" + tmp_path.name]
    found = [(str(each.image), each.place().as_posix()) for each in named_inputs(names[:4])]
    assert [place for _, place in found] == ["1", "b/1", "1", "2.tar", "a/b/1"]
    assert [each.place().as_posix() for each in named_inputs(names[5:])] == ["a/1", "a/b/1", "c/2.tar", "x"]
    assert next(iter(named_inputs(["gone.png"]))).image == Unusable("gone.png", "there is no such file")
    assert Input("https://u:secret@example.org/x/%2e%2e%2fy%20z.jpg?w=1").place().as_posix() == "y z"
    assert "secret" not in Input("https://u:secret@example.org/x.jpg").name


@given(st.text(min_size=1, max_size=300), st.sampled_from(["", "a", "/a", "..", "a/../b"]))
def test_places_never_lead_out(name: str, below: str) -> None:
    place = Input(name.replace("\0", "?"), below).place()
    assert not place.is_absolute() and ".." not in place.parts and place.parts
    assert all(len(part.encode()) <= 200 for part in place.parts)


def test_names_with_a_list(tmp_path: Path) -> None:
    from io import BytesIO

    assert names_with_list(["a", "-", "b"], BytesIO(b"\xef\xbb\xbfx y\r\n\nz\n")) == ["a", "x y", "z", "b"]
    assert names_with_list(["-"], BytesIO(b"x\ny\0z\0")) == ["x\ny", "z"]
    for names, words in ((["-", "-"], "give - once"), (["-"], "names no image")):
        with pytest.raises(UsageError, match=words):
            names_with_list(names, BytesIO(b"\n"))
