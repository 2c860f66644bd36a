"""Photos that are stored turned or mirrored, with the EXIF mark that tells so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

MARKS = range(1, 9)
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def save_marked(upright: Image.Image, mark: int, path: Path) -> None:
    """Store the picture so that it looks like `upright` once it is turned as `mark` says; 0 leaves it out."""
    stored = upright.transpose(_STORED[mark]) if mark in _STORED else upright
    exif = Image.Exif()
    exif[0x0112] = mark
    stored.save(path, **({"exif": exif} if mark else {}))


def marked_folder(folder: Path) -> Path:
    """Two classes, with all marks in training and validation; upright, those of a class look alike."""
    for number, name in enumerate(("fish", "newt")):
        across, down = np.meshgrid(np.linspace(0, 120, 40), np.linspace(0, 120, 30))
        pixels = np.stack([across, down, np.full_like(across, 40 + 150 * number)], axis=-1)
        picture = Image.fromarray(pixels.astype(np.uint8))
        for part in ("train", "valid"):
            (folder / part / name).mkdir(parents=True)
            for mark in MARKS:
                save_marked(picture, mark, folder / part / name / f"{mark}.png")
    return folder
