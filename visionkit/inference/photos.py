"""One image file as the RGB picture that people see."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.checks.facts import PROGRAMS, look
from visionkit.data.upright import turned_upright
from visionkit.errors import DataError

NARROWEST = 200
"""How many times as long as wide an image may be: resizing its short side makes the long one that long."""


def open_photo(path: Path) -> Image.Image:
    """The picture in the file at `path`, whatever its ending says, in RGB.

    It is turned as its EXIF mark asks, transparency is laid on white, and of an animation the first frame is
    taken. Pixels of 16 bits are scaled to 8; of those with fractions or 32 bits, the least becomes black and
    the greatest white.

    Raises:
        DataError: the file cannot be used; the message is the reason only, without the file's name.
    """
    return open_picture(path, as_rgb)


def open_picture(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What `convert` makes of the picture in the file at `path`, whatever its ending says.

    Raises:
        DataError: as `open_photo`.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would block for ever
            raise DataError("this is no regular file")
        with Image.open(path) as image:
            if image.format in PROGRAMS:
                raise DataError(f"{image.format} files are programs; convert it to PNG")
            return convert(image)
    except DataError:
        raise
    except MemoryError:
        raise DataError("there was not enough memory to decode it") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile content
        reason = look(path).fault or " ".join(str(error).split()) or type(error).__name__
        raise DataError(reason) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of Pillow's, in any mode, as `open_photo` gives it.

    Raises:
        DataError: it has no pixels, or is too narrow.
    """
    short, long = sorted(image.size)
    if short == 0 or long > NARROWEST * short:
        raise DataError(f"{image.width}x{image.height} pixels are too long and narrow; cut it")
    image.load()
    image = turned_upright(image)
    if image.mode[0] in "IF":
        image = _in_8_bits(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _in_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.round(values / 257).astype(np.uint8))
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))
