"""The size that the frames of one camera are brought to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image


def frame_size(images: Iterable[Path], height: int) -> tuple[int, int]:
    """(height, width) in pixels of frames brought to `height` with the aspect ratio of the first that opens;
    square where none does, which a check says in its own words.
    """
    for path in images:
        try:
            with Image.open(path) as opened:
                return height, max(1, round(height * opened.width / opened.height))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
    return height, height
