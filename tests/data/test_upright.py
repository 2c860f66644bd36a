"""Photos of labels and tags are turned upright by their EXIF mark; those of masks and points are not."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from conftest import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from marked import MARKS, marked_folder, save_marked
from PIL import Image, ImageOps

import visionkit
from visionkit.data.upright import orientation, turned_upright
from visionkit.data.upright_block import UprightImage, open_upright, opens_upright, upright_image

FORMATS = ("jpg", "png", "webp", "tif")


def rows(image: Any) -> np.ndarray:
    return np.asarray(image)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("mark", MARKS)
def test_a_marked_photo_is_turned(mark: int, ending: str, tmp_path: Path) -> None:
    upright = Image.fromarray(noise(1, 24, 16)).resize((48, 32))
    save_marked(upright, mark, tmp_path / f"photo.{ending}")
    found = upright_image(tmp_path / f"photo.{ending}")
    assert type(found) is fv.PILImage and found.mode == "RGB" and found.size == (48, 32)
    with Image.open(tmp_path / f"photo.{ending}") as opened:
        assert np.array_equal(rows(found), rows(ImageOps.exif_transpose(opened).convert("RGB")))
    if ending == "png":
        assert np.array_equal(rows(found), rows(upright))


def test_nothing_is_turned_twice(tmp_path: Path) -> None:
    save_marked(Image.fromarray(noise(1, 24, 16)), 6, tmp_path / "photo.jpg")
    once = upright_image(tmp_path / "photo.jpg")
    assert orientation(once) == 1
    assert np.array_equal(rows(upright_image(once)), rows(once))
    assert turned_upright(once) is once


@pytest.mark.parametrize("kind", [fv.PILImage, fv.PILImageBW])
@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(["RGB", "L", "P", "1", "LA", "RGBA", "CMYK", "I;16"]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    mark=st.sampled_from([0, 1]),
)
def test_a_photo_without_a_mark_is_as_fastai_reads_it(
    kind: Any, tmp_path_factory: pytest.TempPathFactory, mode: str, width: int, height: int, mark: int
) -> None:
    picture = Image.fromarray(noise(width * 50 + height, width, height))
    picture = (
        Image.fromarray(rows(picture.convert("L")).astype(np.uint16) * 200)
        if mode == "I;16"
        else picture.convert(mode)
    )
    path = tmp_path_factory.mktemp("photo") / ("photo.tif" if mode == "CMYK" else "photo.png")
    save_marked(picture, mark, path)
    found, expected = upright_image(path, kind), kind.create(path)
    assert type(found) is kind and found.mode == expected.mode
    assert np.array_equal(rows(found), rows(expected))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_damaged_marks_count_as_none(data: bytes, headed: bool) -> None:
    """Whatever stands there, the picture is read; and turned only where a mark from 2 to 8 is found."""
    picture = Image.fromarray(noise(1, 24, 16))
    content = io.BytesIO()
    picture.save(content, "PNG", exif=b"Exif\0\0" + (b"II*\0" if headed else b"") + data)
    found = upright_image(content.getvalue())
    with Image.open(content) as opened:
        mark = orientation(opened)
    assert mark in MARKS
    if mark == 1:
        assert np.array_equal(rows(found), rows(picture))


def test_a_mark_counts_where_other_exif_data_is_damaged(tmp_path: Path) -> None:
    """A mark that reads well, and behind it an entry of which Pillow cannot write a copy."""
    head = b"Exif\0\0MM\0*\0\0\0\x08"
    mark = bytes.fromhex("0112 0003 00000001 0006 0000")
    strange = bytes.fromhex("829A 0005 00000001 00000000")  # a time of exposure in no sort of number
    content = head + b"\0\x02" + mark + strange + b"\0\0\0\0"
    Image.fromarray(noise(1, 24, 16)).save(tmp_path / "photo.png", exif=content)
    assert upright_image(tmp_path / "photo.png").size == (16, 24)


def valid_images(folder: Path, recipe: str = "folder", **options: Any) -> torch.Tensor:
    dls = visionkit.get_recipe(recipe).dataloaders(
        folder, size=24, presize=32, bs=4, workers=0, device="cpu", **options
    )
    return torch.cat([batch[0].as_subclass(torch.Tensor).cpu() for batch in dls.valid])


def test_batches_of_a_data_set_are_upright(tmp_path: Path) -> None:
    images = valid_images(marked_folder(tmp_path / "data"))
    assert len(images) == 16
    for first, kind in ((images[0], images[:8]), (images[8], images[8:])):
        for image in kind:
            assert torch.equal(image, first)
    assert not torch.equal(images[0], images[0].flip(-1))


def test_tags_are_upright_too(tmp_path: Path) -> None:
    marked_folder(tmp_path / "data")
    photos = sorted((tmp_path / "data").rglob("*.png"))
    lines = [f"{path.relative_to(tmp_path / 'data')},{path.parent.name} wet" for path in photos]
    (tmp_path / "data" / "tags.csv").write_text("\n".join(["image,tags", *lines]) + "\n")
    images = valid_images(tmp_path / "data", "csv", csv="tags.csv", image_column="image", label_column="tags")
    assert len({tuple(image.flatten().tolist()) for image in images}) <= 2


def test_masks_and_points_keep_their_images_as_stored(camvid: Path, heads: Path) -> None:
    for recipe, folder in (("camvid", camvid), ("headpose", heads)):
        for path in folder.rglob("*_rgb.jpg" if recipe == "headpose" else "images/*.png"):
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            save_marked(picture, 3, path)
        dls = visionkit.get_recipe(recipe).dataloaders(folder, size=32, bs=2, workers=0, device="cpu")
        images = [dls.origin.images[index] for index in dls.origin.valid]
        for path, (found, _) in zip(images, dls.valid_ds, strict=True):
            with Image.open(path) as opened:
                assert orientation(opened) == 3 and np.array_equal(rows(found), rows(opened.convert("RGB")))


def test_what_opens_images_is_replaced_once_and_can_be_pickled(tmp_path: Path) -> None:
    block = fv.DataBlock(blocks=(fv.ImageBlock(fv.PILImageBW), fv.CategoryBlock))
    other = fv.DataBlock(blocks=(fv.ImageBlock, fv.CategoryBlock))
    shared = block.type_tfms[0]
    open_upright(block)
    open_upright(block)
    assert len(block.type_tfms[0]) == 1 and len(shared) == 1 and shared[0] == fv.PILImageBW.create
    assert not opens_upright(other.type_tfms[0])
    (opener,) = block.type_tfms[0]
    assert isinstance(opener, UprightImage) and opens_upright(block.type_tfms[0])
    save_marked(Image.fromarray(noise(1, 24, 16)), 8, tmp_path / "photo.png")
    again = pickle.loads(pickle.dumps(opener))
    assert np.array_equal(rows(again(tmp_path / "photo.png")), rows(opener(tmp_path / "photo.png")))
    assert type(again(tmp_path / "photo.png")) is fv.PILImageBW


def test_a_recipe_that_opens_images_itself_is_left_alone() -> None:
    def own(path: Path) -> fv.PILImage:
        return fv.PILImage.create(path)

    block = fv.DataBlock(blocks=(fv.TransformBlock(type_tfms=own), fv.CategoryBlock))
    open_upright(block)
    assert list(block.type_tfms[0]) == [own]
