"""One image file as the RGB picture that people see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.checks.facts import look
from visionkit.data.opening import ProgramError, opened, reason
from visionkit.data.strips import changed_in_strips, image_strips
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
    return open_picture(path, partial(as_rgb, release=True))


def open_picture(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What `convert` makes of the picture in the file at `path`, whatever its ending says.

    Raises:
        DataError: as `open_photo`.
    """
    try:
        with opened(path) as image:
            return convert(image)
    except DataError:
        raise
    except ProgramError as error:
        raise DataError(str(error)) from None
    except MemoryError:
        raise DataError("there was not enough memory to decode it") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile content
        raise DataError(look(path).fault or reason(error)) from error


def as_rgb(image: Image.Image, release: bool = False) -> Image.Image:
    """A picture of Pillow's, in any mode, as `open_photo` gives it.

    Args:
        image: the picture.
        release: it may be closed, as nobody needs it afterwards.

    Raises:
        DataError: it has no pixels, or is too narrow.
    """
    short, long = sorted(image.size)
    if short == 0 or long > NARROWEST * short:
        raise DataError(f"{image.width}x{image.height} pixels are too long and narrow; cut it")
    image.load()
    image = turned_upright(image, release)
    if image.mode[0] in "IF":
        image = _in_8_bits(image)
    if image.has_transparency_data:
        return changed_in_strips(image, "RGB", _on_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _in_8_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return changed_in_strips(
            image, "L", lambda strip: Image.fromarray(np.round(_floats(strip) / 257).astype(np.uint8))
        )
    ranges = [(float(part.min()), float(part.max())) for part in map(_finite, _parts(image))]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    scale = 255 / max(high - low, 1e-12)
    return changed_in_strips(
        image, "L", lambda strip: Image.fromarray(((_finite(strip) - low) * scale).astype(np.uint8))
    )


def _parts(image: Image.Image) -> Iterator[Image.Image]:
    return (strip for _, strip in image_strips(image))


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32)


def _finite(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(_floats(image), nan=0.0, posinf=0.0, neginf=0.0)
