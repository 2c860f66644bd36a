"""What lies beyond the edges of an image, in the words of OpenCV."""

from __future__ import annotations

import cv2

_BORDERS = {
    ("reflection", True): cv2.BORDER_REFLECT_101,
    ("reflection", False): cv2.BORDER_REFLECT,
    ("border", True): cv2.BORDER_REPLICATE,
    ("border", False): cv2.BORDER_REPLICATE,
    ("zeros", True): cv2.BORDER_CONSTANT,
    ("zeros", False): cv2.BORDER_CONSTANT,
}


def border(pad_mode: str, about_pixels: bool) -> int:
    """OpenCV's name of fastai's `pad_mode`; reflection is about centres of pixels or about the edges."""
    return _BORDERS[pad_mode, about_pixels]
