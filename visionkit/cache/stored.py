"""A folder of the cache: one long file of bytes, and an index that says where each image lies in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ABOUT, INDEX, PIXELS, MASKS = "cache.json", "index.npy", "pixels.bin", "masks.bin"
OFFSET, HEIGHT, WIDTH, FULL_HEIGHT, FULL_WIDTH = range(5)
"""Columns of the index; the last two are the image's own size."""
_TYPES: dict[str, type[np.generic]] = {"uint8": np.uint8, "float32": np.float32}
"""Numbers that images are kept as; with any other numpy might take the bytes for addresses."""
_LONGEST = 1 << 24
"""Pixels of a side, above which an index is wrong."""
_LONGEST_ABOUT = 1 << 16
"""Bytes of cache.json."""


class Stored:
    """The images of one folder, in memory only as far as they are read.

    Nothing that the folder says is believed before it agrees with the length of its files.

    Args:
        folder: as `Writer` wrote it.

    Raises:
        OSError, ValueError: it is not there, or is not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = read_about(folder)
        kind, channels = _TYPES.get(str(self.about.get("dtype"))), self.about.get("channels")
        if kind is None or type(channels) is not int or channels not in (1, 3):
            raise ValueError(f"{folder}: the cache holds no images")
        self.channels: int = channels
        self.pixels = _mapped(folder / PIXELS, kind)
        self.masks = _mapped(folder / MASKS, np.uint8) if self.about.get("masks") is True else None
        self.index = _read_index(folder / INDEX)
        if self.about.get("images") != len(self.index) or not self._is_whole():
            raise ValueError(f"{folder}: the cache is not whole")
        with suppress(OSError):  # of somebody else, and only to be read
            os.utime(folder / ABOUT)  # the least recently used goes first where room is needed

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stored, (self.folder,)  # the images stay on the disk

    def __deepcopy__(self, memo: dict[int, Any]) -> Stored:
        return self  # nobody changes it

    @property
    def bytes(self) -> int:
        """How many bytes the images take, without masks."""
        return self.pixels.nbytes

    @cached_property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of all images; None where they differ, or there are none."""
        sizes = self.index[:, [HEIGHT, WIDTH]]
        same = len(sizes) > 0 and (sizes == sizes[0]).all()
        return (int(sizes[0, 0]), int(sizes[0, 1])) if same else None

    def image(self, place: int) -> np.ndarray:
        """A view of an image: height x width x channels."""
        offset, height, width = self.index[place, :FULL_HEIGHT].tolist()
        flat = self.pixels[offset : offset + height * width * self.channels]
        return flat.reshape(height, width, self.channels)

    def mask(self, place: int) -> np.ndarray:
        """A view of an image's mask, uint8: height x width."""
        assert self.masks is not None
        offset, height, width = self.index[place, :FULL_HEIGHT].tolist()
        start = offset // self.channels
        return self.masks[start : start + height * width].reshape(height, width)

    def _is_whole(self) -> bool:
        """Whether the images lie one behind the other, and fill the files."""
        sides = self.index[:, HEIGHT:]
        if sides.size and (sides.min() < 1 or sides.max() > _LONGEST):
            return False
        offsets = self.index[:, OFFSET]
        if offsets.size and (offsets.min() < 0 or offsets.max() > len(self.pixels)):
            return False  # else the sums below might run over
        ends = offsets + self.index[:, HEIGHT] * self.index[:, WIDTH] * self.channels
        begins = np.concatenate([[0], ends])
        filled = self.masks is None or len(self.masks) * self.channels == len(self.pixels)
        return filled and bool((begins[:-1] == offsets).all()) and int(begins[-1]) == len(self.pixels)


def read_about(folder: Path) -> dict[str, Any]:
    """What cache.json in `folder` says.

    Raises:
        OSError, ValueError: it is not there, or is damaged.
    """
    with (folder / ABOUT).open("rb") as file:
        text = file.read(_LONGEST_ABOUT)
    try:
        about = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{folder / ABOUT}: damaged") from error
    if not isinstance(about, dict):
        raise ValueError(f"{folder / ABOUT}: damaged")
    return about


def _mapped(file: Path, kind: type[np.generic]) -> np.ndarray:
    if file.stat().st_size == 0:  # which cannot be mapped
        return np.empty(0, kind)
    return np.memmap(file, kind, "r")


def _read_index(file: Path) -> np.ndarray:
    """The index; mapped first, so that what it says of its size is held against the file's."""
    try:
        mapped = np.lib.format.open_memmap(file, mode="r")
    except (EOFError, SyntaxError, TypeError, OverflowError) as error:  # numpy's, on damaged heads
        raise ValueError(f"{file}: damaged") from error
    if mapped.dtype != np.int64 or mapped.shape[1:] != (5,):
        raise ValueError(f"{file}: damaged")
    return np.array(mapped)


class Kept(NamedTuple):
    """What is kept of one image.

    Args:
        pixels: height x width x channels.
        mask: uint8 of height x width, or None.
        full: the image's own width and height.
    """

    pixels: np.ndarray
    mask: np.ndarray | None
    full: tuple[int, int]


class Writer:
    """Writes images one after the other; `finish` makes a whole of them.

    Args:
        folder: an empty one.
        about: what cache.json says besides.

    Raises:
        OSError: the files cannot be made.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.about = {**about, "channels": 3, "dtype": "uint8", "masks": False}
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.written = 0
        self._offset = 0
        self._pixels = (folder / PIXELS).open("wb")
        self._masks = (folder / MASKS).open("wb")

    def add(self, kept: Kept) -> None:
        """Write the next image. Raises OSError where it cannot."""
        pixels = np.ascontiguousarray(kept.pixels)
        height, width, channels = pixels.shape
        form = {"channels": channels, "dtype": pixels.dtype.name, "masks": kept.mask is not None}
        if self.rows and not form.items() <= self.about.items():
            raise ValueError(f"images in one cache differ: {form}")
        if kept.mask is not None and (kept.mask.shape != (height, width) or kept.mask.dtype != np.uint8):
            raise ValueError(f"an image of {height} x {width} has a mask of {kept.mask.shape}")
        self.about |= form
        self._pixels.write(pixels.data)
        self.written += pixels.nbytes
        if kept.mask is not None:
            mask = np.ascontiguousarray(kept.mask)
            self._masks.write(mask.data)
            self.written += mask.nbytes
        self.rows.append((self._offset, height, width, kept.full[1], kept.full[0]))
        self._offset += pixels.size

    def finish(self) -> None:
        """Write the index, and have everything on the disk. Raises OSError where it cannot."""
        for file in (self._pixels, self._masks):
            file.flush()
            os.fsync(file.fileno())
        self.close()
        if not self.about["masks"]:
            (self.folder / MASKS).unlink()
        index = BytesIO()
        np.save(index, np.array(self.rows, dtype=np.int64).reshape(-1, 5))
        (self.folder / INDEX).write_bytes(index.getvalue())  # NumPy would not tell why a disk refuses
        self.about |= {"images": len(self.rows), "bytes": self.written}
        if len(sizes := {row[HEIGHT : WIDTH + 1] for row in self.rows}) == 1:
            self.about["size"] = "{1}x{0}".format(*sizes.pop())
        (self.folder / ABOUT).write_text(json.dumps(self.about, indent=2), encoding="utf-8")

    def close(self) -> None:
        """Close the files, whole or not; a disk without room has been heard of before."""
        for file in (self._pixels, self._masks):
            with suppress(OSError):
                file.close()
