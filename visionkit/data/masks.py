"""Segmentation masks: codes, reading masks without harm, and fastai's block for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from visionkit.data.opening import opened, reason
from visionkit.data.strips import image_strips
from visionkit.data.tables import shown
from visionkit.data.text_files import FEW_BYTES, read_text
from visionkit.errors import DataError, listing

if TYPE_CHECKING:
    from fastai.data.block import TransformBlock

INDEX_MODES = ("L", "P", "1", "I", "I;16")
MOST_CODES = 256


def read_codes(path: Path) -> list[str]:
    """The names of the codes, one a line: line 0 names the mask value 0.

    Raises:
        DataError: the file is missing, or names fewer than two codes, more than a mask can
            hold, or one twice.
    """
    missing = f"{path}: there is no such file; it lists the names of the mask's codes, one a line."
    if not path.is_file():
        raise DataError(missing)
    try:
        codes = [line.strip() for line in read_text(path, FEW_BYTES).splitlines()]
    except FileNotFoundError:
        raise DataError(missing) from None
    while codes and not codes[-1]:
        codes.pop()
    if len(codes) < 2:
        raise DataError(f"{path}: {len(codes)} code(s) found; a segmentation needs at least two, one a line.")
    if len(codes) > MOST_CODES:
        raise DataError(f"{path}: {len(codes):,} codes found; masks can tell {MOST_CODES} apart.")
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise DataError(
            f"{path}: {listing([shown(repr(code)) for code in twice])} stands there more than once."
        )
    return codes


def void_index(codes: Sequence[str]) -> int | None:
    """The index of the code that loss and metrics leave out, named Void in CamVid; None without one."""
    return next((index for index, code in enumerate(codes) if code.lower() == "void"), None)


def read_mask(path: Path) -> np.ndarray:
    """The codes of an index mask: a uint8 array of height x width.

    A palette image gives its indices; Pillow's conversion to mode L would give their colours' brightness.

    Raises:
        DataError: the file does not decode, or is no index mask.
    """
    with _decoding(path), opened(path) as image:
        if image.mode in INDEX_MODES:
            return _values(image, path)
        mode = image.mode
    raise DataError(
        f"{path}: the mask is a picture in mode {mode}; an index mask is needed, one channel (mode L "
        "or a palette) whose values are line numbers of codes.txt, from 0."
    )


def read_pixels(path: Path, palette_colours: bool) -> tuple[np.ndarray, bool]:
    """The pixels of a mask of any kind, height x width, and whether they are colours.

    Values are uint8, colours are int32 as 0xRRGGBB. A picture in RGB whose pixels are all grey has values,
    unless `palette_colours`, which also has palette images give their colours instead of their indices.

    Raises:
        DataError: the file does not decode, or holds values of more than a byte.
    """
    with _decoding(path), opened(path) as image:
        if image.mode in INDEX_MODES and not (palette_colours and image.mode == "P"):
            return _values(image, path), False
        image.load()
        if not palette_colours and all((rgb == rgb[..., :1]).all() for _, rgb in _rgb_strips(image)):
            return _first_channel(image), False
        colours = np.empty((image.height, image.width), dtype=np.int32)
        for rows, rgb in _rgb_strips(image):
            red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
            colours[rows] = red << 16 | green << 8 | blue
        return colours, True


def _rgb_strips(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    for rows, strip in image_strips(image):
        yield rows, np.asarray(strip.convert("RGB"))


def _first_channel(image: Image.Image) -> np.ndarray:
    values = np.empty((image.height, image.width), dtype=np.uint8)
    for rows, rgb in _rgb_strips(image):
        values[rows] = rgb[..., 0]
    return values


def _values(image: Image.Image, path: Path) -> np.ndarray:
    """The values of a mask with one channel. Raises DataError for more than a byte can hold."""
    image.load()
    values = np.empty((image.height, image.width), dtype=np.uint8)
    highest = lowest = 0
    for rows, strip in image_strips(image):
        part = np.asarray(strip)
        highest, lowest = max(highest, int(part.max())), min(lowest, int(part.min()))
        values[rows] = part
    if highest > 255 or lowest < 0:
        wrong = highest if highest > 255 else lowest
        raise DataError(
            f"{path}: the mask holds the value {wrong}; at most {MOST_CODES} codes can be told apart."
        )
    return values


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Raise `DataError` for what Pillow raises on files that do not decode."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # Pillow raises nearly anything on hostile content
        raise DataError(f"{path}: the mask does not decode ({reason(error)}).") from error


def open_mask(path: Path) -> Any:
    """Fastai's `PILMask` of the index mask at `path`."""
    from fastai.vision.core import PILMask

    return PILMask.create(read_mask(path))


def IndexMaskBlock(codes: Sequence[str], opened: Callable[[Path], Any] = open_mask) -> TransformBlock:
    """Fastai's `MaskBlock` for index masks, palette images among them.

    Args:
        codes: their names.
        opened: makes fastai's `PILMask` from a file; a `MaskReader` where pixels are to be translated.
    """
    from fastai.data.block import TransformBlock
    from fastai.data.transforms import IntToFloatTensor
    from fastai.vision.core import AddMaskCodes

    return TransformBlock(
        type_tfms=opened, item_tfms=AddMaskCodes(codes=list(codes)), batch_tfms=IntToFloatTensor
    )
