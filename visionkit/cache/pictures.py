"""Decoding images and masks to the form in which they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.cache.form import Form
from visionkit.data.opening import opened, reason
from visionkit.data.upright import QUARTER_TURNS, orientation, turned_upright
from visionkit.errors import DataError

SPARE = 2
"""JPEGs are decoded at a reduced scale where that leaves so many times the size wanted, or more."""


def decode(path: Path, forms: Sequence[Form]) -> tuple[Image.Image, tuple[int, int]]:
    """The picture at `path`, at least `SPARE` times as large as `forms` need, and its own width and height.

    Mode and turning are those of the first form; the others have the same.

    Raises:
        DataError: it does not decode, or is no longer there.
    """
    form = forms[0]
    try:
        with opened(path) as image:
            full = image.size
            if image.format == "JPEG":
                image.draft(None, _wanted(full, forms))
            image.load()
            if not form.upright:
                return image.convert(form.mode), full
            if orientation(image) in QUARTER_TURNS:
                full = full[1], full[0]
            return turned_upright(image, release=True).convert(form.mode), full
    except Exception as error:  # Pillow raises nearly anything on hostile content
        raise DataError(f"{path}: the image does not decode ({reason(error)}).") from error


def _wanted(size: tuple[int, int], forms: Sequence[Form]) -> tuple[int, int]:
    """Width and height that a decoder is asked for, of an image that is perhaps turned afterwards."""
    sides = [form.size(*size) for form in forms]
    sides += [form.size(size[1], size[0])[::-1] for form in forms if form.upright]
    return SPARE * max(width for width, _ in sides), SPARE * max(height for _, height in sides)


def kept_picture(picture: Image.Image, form: Form, original: tuple[int, int]) -> np.ndarray:
    """The picture in the form: uint8 of height x width x channels.

    Args:
        picture: as decoded, perhaps at reduced scale.
        form: in which it is kept.
        original: width and height of the whole picture at full scale.
    """
    size = form.size(*original)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels.reshape(size[1], size[0], form.channels)


def kept_mask(codes: np.ndarray, form: Form) -> np.ndarray:
    """The mask that belongs to a picture in the form: uint8 of height x width, by nearest neighbour."""
    height, width = codes.shape
    size = form.size(width, height)
    if size == (width, height):
        return codes
    return np.asarray(Image.fromarray(codes).resize(size, Image.Resampling.NEAREST))
