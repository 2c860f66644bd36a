"""Boxes cut out of photos."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from visionkit.data.opening import opened
from visionkit.progress import Progress

QUALITY = 92
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""Counterclockwise, both in Pillow and in Open Images."""


class Box(NamedTuple):
    """A box of a photo, its corners relative to the photo as it is stored, and the folder of its class."""

    folder: str
    x_min: float
    x_max: float
    y_min: float
    y_max: float


@dataclass(frozen=True)
class Sitting:
    """A photo with the boxes in it.

    Args:
        id: names the cut-out pictures: `ID_1.jpg`, `ID_2.jpg` in the folder of each class.
        file: the photo.
        rotation: degrees that it must be turned counterclockwise to stand upright.
        boxes: what to cut out.
    """

    id: str
    file: Path
    rotation: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Cut:
    """How boxes are cut.

    Args:
        min_side: pixels that both sides of a box must have, without its margin.
        margin: share of the box's width and height that is added on each side, where the photo has it.
    """

    min_side: int = 48
    margin: float = 0.1

    def pixels(self, box: Box, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom of the cut in a photo of this size; None where the box is too small."""
        across, down = (box.x_max - box.x_min) * width, (box.y_max - box.y_min) * height
        if min(across, down) < self.min_side:
            return None
        left, right = box.x_min * width - self.margin * across, box.x_max * width + self.margin * across
        top, bottom = box.y_min * height - self.margin * down, box.y_max * height + self.margin * down
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(width, math.ceil(right)),
            min(height, math.ceil(bottom)),
        )


def cut_boxes(sittings: Iterable[Sitting], folder: Path, cut: Cut, progress: Progress) -> Counter[str]:
    """Write the boxes as JPEGs to `folder/CLASS/ID_1.jpg`, upright.

    Returns:
        How many boxes were "cut", "too small", or in photos that are "unreadable".
    """
    waiting = list(sittings)
    counts: Counter[str] = Counter()
    for name in {box.folder for sitting in waiting for box in sitting.boxes}:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (
        progress.track("cutting", len(waiting), "images") as advance,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1), "cutting") as pool,
    ):
        for found in pool.map(lambda sitting: _cut(sitting, folder, cut), waiting):
            counts.update(found)
            advance(1)
    return counts


def _cut(sitting: Sitting, folder: Path, cut: Cut) -> Mapping[str, int]:
    """Cut the boxes of one photo; none of them where it does not decode."""
    try:
        with opened(sitting.file) as photo:
            # Not turned as its EXIF data says: the boxes belong to the pixels as they are stored.
            pixels = photo.convert("RGB")
    except Exception:  # Pillow raises nearly anything on hostile content
        return {"unreadable": len(sitting.boxes)}
    counts: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for box in sitting.boxes:
        place = cut.pixels(box, *pixels.size)
        if place is None:
            counts["too small"] += 1
            continue
        picture = pixels.crop(place)
        if sitting.rotation in _TURNS:
            picture = picture.transpose(_TURNS[sitting.rotation])
        numbers[box.folder] += 1
        picture.save(
            folder / box.folder / f"{sitting.id}_{numbers[box.folder]}.jpg", format="JPEG", quality=QUALITY
        )
        counts["cut"] += 1
    return counts
