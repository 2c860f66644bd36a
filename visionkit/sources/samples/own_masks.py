"""The street scenes of the camvid sample as a user's own data: masks in colour, and a class map for them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.sources.samples import camvid
from visionkit.sources.samples.street import Code

COLOURS = {
    Code.Sky: (128, 128, 128),
    Code.Building: (128, 0, 0),
    Code.Pole: (192, 192, 128),
    Code.Road: (128, 64, 128),
    Code.Pavement: (0, 0, 192),
    Code.Tree: (128, 128, 0),
    Code.SignSymbol: (192, 128, 128),
    Code.Fence: (64, 64, 128),
    Code.Car: (64, 0, 128),
    Code.Pedestrian: (64, 64, 0),
    Code.Bicyclist: (0, 128, 192),
    Code.Void: (0, 0, 0),
}


def draw(folder: Path, seed: int) -> None:
    """Writes `images`, `masks` with the suffix `_mask`, `class_map.csv` and `valid.txt`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    camvid.draw(folder, seed)
    palette = np.asarray([COLOURS[code] for code in Code], dtype=np.uint8)
    (folder / "masks").mkdir()
    for index_mask in sorted((folder / "labels").iterdir()):
        with Image.open(index_mask) as opened:
            picture = Image.fromarray(palette[np.asarray(opened)])
        name = index_mask.name.removesuffix("_P.png")
        picture.save(folder / "masks" / f"{name}_mask.png")
        index_mask.unlink()
    (folder / "labels").rmdir()
    (folder / "codes.txt").unlink()
    with (folder / "class_map.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "r", "g", "b"])
        writer.writerows([code.name, *colour] for code, colour in COLOURS.items())
