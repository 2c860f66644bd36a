"""Validation batches from the cache are those of fastai's own loaders."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
from conftest import noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loading.pairs import assert_same_batches, pair, recipe_of
from marked import MARKS, save_marked
from PIL import Image

ROUNDED = 1e-5
"""Fastai interpolates images at their own pixels, and rounds; where it resizes in batches all bits agree."""


@pytest.mark.parametrize(
    ("dataset", "size", "tolerance", "options"),
    [
        ("pets", 32, 0.0, {}),
        ("pets", 24, 0.0, {"presize": 26}),
        ("pets", 16, 0.0, {"presize": 100}),
        ("planet", 32, ROUNDED, {}),
        ("planet", 64, ROUNDED, {}),
        ("camvid", 36, ROUNDED, {}),
        ("camvid", 18, ROUNDED, {"bs": 2}),
        ("dogscats", 32, ROUNDED, {}),
        ("dogscats", 16, ROUNDED, {"weighted_sampling": True}),
        ("heads", 24, ROUNDED, {}),
        ("fashion", 24, ROUNDED, {}),
    ],
    indirect=["dataset"],
)
def test_recipes(
    dataset: tuple[str, Path], size: int, tolerance: float, options: dict[str, Any], tmp_path: Path
) -> None:
    name, folder = dataset
    recipe = {"heads": "headpose", "fashion": "fashionai"}.get(name, name)
    cached, stock = pair(recipe, folder, tmp_path / "store", size, **options)
    assert_same_batches(cached.valid, stock.valid, tolerance)


def test_own_folders_tables_and_masks(pets: Path, camvid: Path, planet: Path, tmp_path: Path) -> None:
    for number, image in enumerate(sorted((pets / "images").iterdir())):
        place = pets / "classes" / ("train", "valid")[number % 3 == 0] / image.name.split("_")[0]
        place.mkdir(parents=True, exist_ok=True)
        image.rename(place / image.name)
    own = camvid.parent / "own"
    (own / "masks").mkdir(parents=True)
    (camvid / "images").rename(own / "images")
    for mask in (camvid / "labels").iterdir():
        mask.rename(own / "masks" / mask.name.replace("_P", ""))
    for recipe, folder, options in (
        ("folder", pets / "classes", {}),
        ("masks", own, {}),
        ("csv", planet, {"csv": "train_v2.csv", "folder": "train-jpg"}),
    ):
        cached, stock = pair(recipe, folder, tmp_path / "store", 24, **options)
        assert_same_batches(cached.valid, stock.valid, ROUNDED)


def test_several_sizes_share_a_pass(pets: Path, tmp_path: Path) -> None:
    cached, stock = pair("pets", pets, tmp_path / "store", 32, then=(48, 64))
    assert cached.origin.fill_cache([32, 48, 64])
    for size in (32, 48, 64):
        ours = cached.origin.dataloaders(size, fill=False)
        assert_same_batches(ours.valid, stock.origin.dataloaders(size).valid)


def odd_pictures(folder: Path) -> None:
    """A file of each odd kind, in two classes."""
    folder.mkdir()
    photo = Image.fromarray(noise(1, 40, 28))
    clear = photo.convert("RGBA")
    clear.putalpha(Image.fromarray(noise(2, 40, 28)[..., 0]))
    pictures = {
        "cmyk.jpg": photo.convert("CMYK"),
        "grey.jpg": photo.convert("L"),
        "palette.png": photo.convert("P", palette=Image.Palette.ADAPTIVE),
        "clear.png": clear,
        "bits.png": photo.convert("1"),
        "deep.png": Image.fromarray(noise(3, 40, 28)[..., 0].astype(np.uint16) * 257),
        "moving.gif": photo.convert("P"),
        "photo.webp": photo,
        "photo.bmp": photo,
        "pixel.png": photo.crop((0, 0, 1, 1)),
        "row.png": photo.crop((0, 0, 40, 1)),
        "column.png": photo.crop((0, 0, 1, 28)),
        "large.jpg": photo.resize((900, 700)),
    }
    for name, picture in pictures.items():
        picture.save(folder / name)
    palette = pictures["palette.png"].copy()
    palette.info["transparency"] = 3
    palette.save(folder / "clear-palette.png", transparency=3)
    for mark in MARKS:
        save_marked(photo, mark, folder / f"mark-{mark}.jpg")


def odd_block(path: Path, options: Any, kind: Any = fv.PILImage, **resize: Any) -> fv.DataBlock:
    return fv.DataBlock(
        blocks=(fv.ImageBlock(kind), fv.CategoryBlock),
        get_items=lambda folder: sorted(folder.iterdir()),
        get_y=lambda file: len(file.name) % 2,
        splitter=lambda items: (list(range(0, len(items), 4)), list(range(len(items)))[::-1]),
        item_tfms=fv.Resize((options.size, options.size + 6), **resize),
    )


@pytest.mark.parametrize("kind", [fv.PILImage, fv.PILImageBW])
@pytest.mark.parametrize("method", ["crop", "squish"])
def test_odd_files(kind: Any, method: str, tmp_path: Path) -> None:
    odd_pictures(tmp_path / "odd")
    recipe = recipe_of(partial(odd_block, kind=kind, method=method))
    cached, stock = pair(recipe, tmp_path / "odd", tmp_path / "store", 30)
    assert_same_batches(cached.valid, stock.valid)
    assert cached.valid.one_batch()[0].shape[1] == (1 if kind is fv.PILImageBW else 3)
    assert next(iter(cached.train))[0].shape[1:] == cached.valid.one_batch()[0].shape[1:]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sides=st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=2, max_size=4),
    method=st.sampled_from(["crop", "pad", "squish", "random"]),
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    smaller=st.sampled_from([None, 8, 48]),
)
def test_any_size(
    sides: list[tuple[int, int]],
    method: str,
    size: tuple[int, int],
    smaller: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "images").mkdir()
    for number, (width, height) in enumerate(sides):
        Image.fromarray(noise(number, width, height)).save(folder / "images" / f"{number}.png")

    def block(path: Path, options: Any) -> fv.DataBlock:
        step = fv.RandomResizedCrop(size) if method == "random" else fv.Resize(size, method)
        return fv.DataBlock(
            blocks=(fv.ImageBlock, fv.CategoryBlock),
            get_items=lambda images: sorted(images.iterdir()),
            get_y=lambda file: file.name,
            splitter=lambda items: (list(range(len(items))), list(range(len(items)))),
            item_tfms=step,
            batch_tfms=[] if smaller is None else fv.aug_transforms(size=smaller),
        )

    cached, stock = pair(recipe_of(block), folder / "images", folder / "store")
    assert_same_batches(cached.valid, stock.valid)
    images, _ = next(iter(cached.train))
    assert images.shape[2:] == (size if smaller is None else (smaller, smaller))
    assert images.min() >= 0 and images.max() <= 1
