"""The size that the frames of one camera are brought to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from visionkit.data.opening import opened


def frame_size(images: Iterable[Path], height: int) -> tuple[int, int]:
    """(height, width) in pixels of frames brought to `height` with the aspect ratio of the first that opens;
    square where none does, which a check says in its own words.
    """
    for path in images:
        try:
            with opened(path) as image:
                return height, max(1, round(height * image.width / image.height))
        except Exception:  # Pillow raises nearly anything on hostile content
            continue
    return height, height
