"""Large pictures piece by piece: what is computed of all pixels at once takes several times their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

STRIP = 1 << 22
"""About so many pixels are looked at together."""


def row_slices(height: int, width: int) -> Iterator[slice]:
    """Slices of rows, each of about `STRIP` pixels, that cover all of them."""
    rows = max(1, STRIP // max(1, width))
    return (slice(top, min(height, top + rows)) for top in range(0, height, rows))


def image_strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The rows and pixels of `image`, strip by strip; all at once where it is small."""
    width, height = image.size
    for rows in row_slices(height, width):
        whole = rows == slice(0, height)
        yield rows, image if whole else image.crop((0, rows.start, width, rows.stop))


def changed_in_strips(
    image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """What `change`, which goes by single pixels, makes of `image`, in the mode that it makes."""
    made = None
    for rows, strip in image_strips(image):
        if strip is image:
            return change(image)
        made = made or Image.new(mode, image.size)
        made.paste(change(strip), (0, rows.start))
    return made or change(image)


def distinct(pixels: np.ndarray, most: int | None = None) -> list[int]:
    """The values in a mask, sorted; the search ends once there are more than `most`."""
    found: set[int] = set()
    for rows in row_slices(*pixels.shape[:2]):
        flat = pixels[rows].ravel()
        ends = np.flatnonzero(flat[1:] != flat[:-1])  # of runs: sorting those alone is much faster
        found.update(np.unique(np.append(flat[ends], flat[-1:])).tolist())
        if most is not None and len(found) > most:
            break
    return sorted(found)
