"""Pictures that are part of a page: small, as data URIs, and no more than the page has room for."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visionkit.data.opening import opened
from visionkit.data.upright import turned_upright

SIDE = 160
"""Pixels of a thumbnail's longer side."""
_QUALITY = 72


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its number there, its data URI, and its width and height in pixels."""

    number: int
    source: str
    width: int
    height: int


class Album:
    """The pictures of a page, each once, while there is room.

    Args:
        room: bytes that their data URIs may take together.
    """

    def __init__(self, room: int) -> None:
        self.left = room
        self.pictures: list[Picture] = []
        self._by_file: dict[tuple[Path, bool, int], Picture | None] = {}

    def photo(self, file: Path, *, upright: bool = True, side: int = SIDE) -> Picture | None:
        """A thumbnail of an image file; None where there is no room, or it cannot be read (any more).

        Args:
            file: the image.
            upright: turned by its EXIF mark, or as it is stored.
            side: pixels of the longer side.
        """
        key = file, upright, side
        if key not in self._by_file:
            self._by_file[key] = self._added(lambda: _jpeg(_small(file, upright, side)))
        return self._by_file[key]

    def frame(self, pixels: np.ndarray) -> Picture | None:
        """An RGB picture, uint8 of rows x columns x 3, as JPEG; None where there is no room."""
        return self._added(lambda: _jpeg(Image.fromarray(pixels)))

    def layer(self, codes: np.ndarray, palette: np.ndarray) -> Picture | None:
        """A picture in few colours, as PNG; None where there is no room.

        Args:
            codes: places in `palette`, rows x columns.
            palette: uint8 RGBA, shape (colours, 4), at most 256.
        """
        return self._added(lambda: _png(codes, palette))

    def _added(self, make: Callable[[], tuple[str, tuple[int, int]]]) -> Picture | None:
        if self.left <= 0:
            return None
        try:
            source, (width, height) = make()
        except Exception:  # decoders raise nearly anything, and a page does without the picture
            return None
        if len(source) > self.left:
            self.left = 0
            return None
        self.left -= len(source)
        picture = Picture(len(self.pictures), source, width, height)
        self.pictures.append(picture)
        return picture


def _small(file: Path, upright: bool, side: int) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(file) as image:
            image.draft("RGB", (2 * side, 2 * side))
            small: Image.Image = image.convert("RGB")
    small = turned_upright(small) if upright else small
    small.thumbnail((side, side))
    return small


def _jpeg(image: Image.Image) -> tuple[str, tuple[int, int]]:
    return _encoded(image, "jpeg", quality=_QUALITY, optimize=True), image.size


def _png(codes: np.ndarray, palette: np.ndarray) -> tuple[str, tuple[int, int]]:
    image = Image.new("P", (codes.shape[1], codes.shape[0]))
    image.frombytes(codes.astype(np.uint8).tobytes())
    image.putpalette(palette[:, :3].tobytes())
    return _encoded(image, "png", optimize=True, transparency=palette[:, 3].tobytes()), image.size


def _encoded(image: Image.Image, kind: str, **options: Any) -> str:
    content = io.BytesIO()
    image.save(content, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
