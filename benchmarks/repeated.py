"""Data sets of any size from a few images: each is there many times, by links under names of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
from PIL import Image

Link = Callable[[Path, Path], None]


def repeat(task: str, source: Path, folder: Path, images: int, link: Link = os.symlink) -> None:
    """Fill `folder` with a data set of `images` images in the layout of `source`.

    Args:
        task: pets, planet or camvid.
        source: the data set whose images are repeated; they are taken in turn.
        folder: made.
        images: how many there will be.
        link: `link(file, name)` makes each: `os.symlink` or `os.link`.
    """
    _REPEATS[task](source.resolve(), folder, images, link)


def _pets(source: Path, folder: Path, images: int, link: Link) -> None:
    (folder / "images").mkdir(parents=True)
    for number, photo in _numbered(source / "images", images):
        breed = re.sub(r"_\d+$", "", photo.stem)
        link(photo, folder / "images" / f"{breed}_{number}{photo.suffix}")


def _planet(source: Path, folder: Path, images: int, link: Link) -> None:
    (folder / "train").mkdir(parents=True)
    tags = pd.read_csv(source / "labels.csv").set_index("image_name")["tags"]
    rows = []
    for number, chip in _numbered(source / "train", images):
        link(chip, folder / "train" / f"train_{number}{chip.suffix}")
        rows.append((f"train_{number}", tags[chip.stem]))
    pd.DataFrame(rows, columns=["image_name", "tags"]).to_csv(folder / "labels.csv", index=False)


def _camvid(source: Path, folder: Path, images: int, link: Link) -> None:
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    (folder / "codes.txt").write_text((source / "codes.txt").read_text())
    validation = set((source / "valid.txt").read_text().split())
    named = []
    for number, frame in _numbered(source / "images", images):
        stem = f"{frame.stem}x{number}"
        link(frame, folder / "images" / f"{stem}{frame.suffix}")
        link(source / "labels" / f"{frame.stem}_P.png", folder / "labels" / f"{stem}_P.png")
        if frame.name in validation:
            named.append(f"{stem}{frame.suffix}\n")
    (folder / "valid.txt").write_text("".join(named))


_REPEATS = {"pets": _pets, "planet": _planet, "camvid": _camvid}


def _numbered(folder: Path, images: int) -> Iterator[tuple[int, Path]]:
    """The files in turn, with numbers from 1."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return enumerate(islice(cycle(files), images), 1)


def class_folders(images: Path, folder: Path) -> None:
    """The same images in a folder for each class, by links: the layout of torchvision's ImageFolder and timm.

    The class is what stands before the last underscore of the name.
    """
    for image in sorted(images.iterdir()):
        place = folder / image.stem.rpartition("_")[0]
        place.mkdir(parents=True, exist_ok=True)
        os.symlink(image.resolve(), place / image.name)


def shrunk(source: Path, folder: Path, short_side: int) -> None:
    """JPEGs of the pets' photos with this short side in `folder`/images: files to be linked to."""
    (folder / "images").mkdir(parents=True)
    for photo in sorted((source / "images").iterdir()):
        with Image.open(photo) as opened:
            picture = opened.convert("RGB")
        scale = short_side / min(picture.size)
        picture.resize((round(picture.width * scale), round(picture.height * scale))).save(
            folder / "images" / f"{photo.stem}.jpg", quality=90
        )
