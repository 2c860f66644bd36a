"""One warp and one table for each image: from kept bytes to the network's floats, with OpenCV.

OpenCV lets go of the interpreter's lock, so images of a batch are made in several threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import cv2
import numpy as np

from visionkit.loading.geometry import Size
from visionkit.loading.items import Cut

cv2.setNumThreads(1)  # the threads are ours
_COARSEST = 2.001
"""Pixels of the source for one of the output above which they are averaged first, to at most as many."""
_NEAR = 1 << 20
"""Bytes that fit into a core's own memory: a warp jumps about, so such parts are read in order before."""


@dataclass(frozen=True)
class Warp:
    """How images of one batch are warped.

    Args:
        item: height and width of an item, which matrices lead into.
        size: of the output.
        border: OpenCV's name for what lies beyond the edges.
        padding: likewise, for items that reach beyond their image.
    """

    item: Size
    size: Size
    border: int
    padding: int = cv2.BORDER_CONSTANT

    def __call__(
        self, image: np.ndarray, cut: Cut, matrix: np.ndarray | None, nearest: bool = False
    ) -> np.ndarray:
        """The output for one image: uint8, height x width, and channels where it has more than one.

        Args:
            image: as kept.
            cut: the part of it that is the item.
            matrix: from a pixel of the output to one of the item; None where the item is the output.
            nearest: for masks, whose values must not be mixed.
        """
        part = self._part(image, cut)
        if matrix is None:
            return part if part.shape[:2] == self.size else _resized(part, self.size, nearest)
        x, y = cut.width / self.item[1], cut.height / self.item[0]
        apart = min(x, y) * self._spacing(matrix)
        whole = 1 if nearest else min(ceil(apart / _COARSEST), *part.shape[:2])
        if whole > 1:
            part, x, y = _averaged(part, whole), x / whole, y / whole
        elif part.nbytes <= _NEAR:
            part = part.copy()
        if x != 1 or y != 1:  # from the item's pixels to the part's; 0 is the centre of the first of either
            matrix = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]) @ matrix
        way = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        return cv2.warpPerspective(
            part, matrix, self.size[::-1], flags=way | cv2.WARP_INVERSE_MAP, borderMode=self.border
        )

    def _spacing(self, matrix: np.ndarray) -> float:
        """Pixels of the item between neighbouring ones of the output, at its centre: a geometric mean."""
        height, width = self.size
        depth = float(matrix[2] @ ((width - 1) / 2, (height - 1) / 2, 1))
        return float(np.sqrt(abs(np.linalg.det(matrix) / depth**3)))

    def _part(self, image: np.ndarray, cut: Cut) -> np.ndarray:
        left, top = max(cut.left, 0), max(cut.top, 0)
        part = image[top : cut.top + cut.height, left : cut.left + cut.width]
        height, width = part.shape[:2]
        if (height, width) == (cut.height, cut.width):
            return part
        before, above = left - cut.left, top - cut.top
        return cv2.copyMakeBorder(
            part,
            above,
            cut.height - height - above,
            before,
            cut.width - width - before,
            self.padding,
            value=0,
        )


def light(pixels: np.ndarray, levels: np.ndarray, out: np.ndarray) -> None:
    """Write what `levels` makes of each value to `out`.

    Args:
        pixels: uint8 of height x width, and channels where there is more than one.
        levels: float32 of 256 x channels; with one channel it counts for all.
        out: float32 of height x width x channels.
    """
    channels = out.shape[-1]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if channels != pixels.shape[-1]:
        pixels = np.repeat(pixels, channels, axis=-1)
    table = levels[None] if levels.shape[-1] == channels else np.repeat(levels, channels, axis=-1)[None]
    found = cv2.LUT(np.ascontiguousarray(pixels), table, dst=out)
    if found is not out and not np.shares_memory(found, out):
        out[...] = found.reshape(out.shape)


def _averaged(part: np.ndarray, whole: int) -> np.ndarray:
    """`part` with each square of `whole` x `whole` pixels made one; the far edges lose what is over.

    A warp that leaves pixels out between those that it reads would show patterns which are not there. Fastai
    averages too, to two pixels for one of the output exactly; squares of whole pixels are many times faster.
    """
    height, width = part.shape[0] // whole, part.shape[1] // whole
    even = part[: height * whole, : width * whole]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)


def _resized(part: np.ndarray, size: Size, nearest: bool) -> np.ndarray:
    shrinks = part.shape[0] > size[0] and part.shape[1] > size[1]
    way: Any = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(part, size[::-1], interpolation=way)
