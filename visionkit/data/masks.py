"""Segmentation masks: codes, reading masks without harm, and fastai's block for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from visionkit.errors import DataError, listing

if TYPE_CHECKING:
    from fastai.data.block import TransformBlock

INDEX_MODES = ("L", "P", "1", "I", "I;16")


def read_codes(path: Path) -> list[str]:
    """The names of the codes, one a line: line 0 names the mask value 0.

    Raises:
        DataError: the file is missing, or names fewer than two codes, or one twice.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; it lists the names of the mask's codes, one a line.")
    try:
        codes = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: not a text file in UTF-8 ({error}).") from error
    while codes and not codes[-1]:
        codes.pop()
    if len(codes) < 2:
        raise DataError(f"{path}: {len(codes)} code(s) found; a segmentation needs at least two, one a line.")
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise DataError(f"{path}: {listing([repr(code) for code in twice])} stands there more than once.")
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
    with _decoding(path), Image.open(path) as image:
        mode = image.mode
        values = np.asarray(image) if mode in INDEX_MODES else None
    if values is None:
        raise DataError(
            f"{path}: the mask is a picture in mode {mode}; an index mask is needed, one channel (mode L "
            "or a palette) whose values are line numbers of codes.txt, from 0."
        )
    return _bytes(values, path)


def read_pixels(path: Path, palette_colours: bool) -> tuple[np.ndarray, bool]:
    """The pixels of a mask of any kind, height x width, and whether they are colours.

    Values are uint8, colours are int32 as 0xRRGGBB. A picture in RGB whose pixels are all grey has values,
    unless `palette_colours`, which also has palette images give their colours instead of their indices.

    Raises:
        DataError: the file does not decode, or holds values of more than a byte.
    """
    with _decoding(path), Image.open(path) as image:
        if image.mode in INDEX_MODES and not (palette_colours and image.mode == "P"):
            values = np.asarray(image)
            rgb = None
        else:
            rgb = np.asarray(image.convert("RGB"))
    if rgb is None:
        return _bytes(values, path), False
    if not palette_colours and (rgb == rgb[..., :1]).all():
        return rgb[..., 0], False
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue, True


def _bytes(values: np.ndarray, path: Path) -> np.ndarray:
    if values.max() > 255 or values.min() < 0:
        raise DataError(
            f"{path}: the mask holds the value {int(values.max())}; at most 256 codes can be told apart."
        )
    return values.astype(np.uint8)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Raise `DataError` for what Pillow raises on files that do not decode."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the mask does not decode ({error}).") from error


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
