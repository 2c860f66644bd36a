"""In which form training images are kept: at which size, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["crop", "squish", "pad"]


@dataclass(frozen=True)
class Form:
    """How a training image is kept.

    Images are never enlarged: one that is smaller is kept as it is.

    Args:
        method: `crop` keeps all of an image, just large enough to cut `width` x `height` out of it, so that
            its short side is the presize; `pad` keeps all of it so that it fits into these; `squish` brings
            it to exactly these, whatever its shape.
        height: in pixels.
        width: in pixels.
        mode: of Pillow: RGB, or L for shades of grey.
        upright: whether EXIF marks turn it.
    """

    method: Method
    height: int
    width: int
    mode: Literal["RGB", "L"] = "RGB"
    upright: bool = False

    @property
    def channels(self) -> int:
        """Bytes a pixel."""
        return len(self.mode)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The width and height at which an image of this size is kept, in pixels."""
        across, down = self.full_size(width, height)
        if self.method == "squish":
            return (across, down) if across * down <= width * height else (width, height)
        return (across, down) if across <= width else (width, height)

    def full_size(self, width: int, height: int) -> tuple[int, int]:
        """As `size`, and enlarged where the image is smaller: what fastai would make of it."""
        if self.method == "squish":
            return self.width, self.height
        scales = self.width / width, self.height / height
        scale = min(scales) if self.method == "pad" else max(scales)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
        if self.method == "crop":  # rounding must not take a pixel that the cut needs
            return max(across, self.width), max(down, self.height)
        return across, down
