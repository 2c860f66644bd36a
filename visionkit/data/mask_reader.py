"""From the pixels of a mask file to codes: by their values, or by their colours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.data.masks import read_pixels
from visionkit.data.strips import distinct, row_slices
from visionkit.errors import DataError

if TYPE_CHECKING:
    from fastai.data.block import DataBlock

JPEG_ENDINGS = (".jpg", ".jpeg")
_GREY = 0x010101
MOST_STRANGE = 1 << 16
"""So many values or colours without a meaning are counted."""


@dataclass(frozen=True)
class MaskReader:
    """Translates masks of any kind to codes; call it to have fastai's `PILMask`.

    Args:
        codes: the names of the codes, from 0.
        values: the code of each value that index masks may hold.
        colours: the code of each colour, 0xRRGGBB; None where masks hold values only.
        source: what says which value or colour means what, for messages, such as "codes.txt".
    """

    codes: tuple[str, ...]
    values: Mapping[int, int]
    colours: Mapping[int, int] | None = None
    source: str = "codes.txt"

    def __call__(self, path: Path) -> Any:
        from fastai.vision.core import PILMask

        return PILMask.create(self.read(path))

    def read(self, path: Path) -> np.ndarray:
        """The codes of the mask at `path`: a uint8 array of height x width.

        Palette images are read by their colours where there are `colours`. So are grey masks, if all of
        their values are grey colours; otherwise by `values`.

        Raises:
            DataError: the file does not decode, or holds a value or colour that means nothing.
        """
        pixels, coloured = read_pixels(path, self.colours is not None)
        if coloured and self.colours is None:
            raise DataError(
                f"{path}: the mask is a picture in colour, and {self.source} tells what values mean, not "
                "colours. Name a CSV file with the columns name, r, g and b with --codes."
            )
        greys = self.colours is not None and not coloured
        if greys and all(value * _GREY in (self.colours or {}) for value in distinct(pixels)):
            pixels, coloured = pixels.astype(np.int32) * _GREY, True
        table = self.colours if coloured and self.colours is not None else self.values
        keys = np.asarray(sorted(table), dtype=np.int32)
        codes = np.asarray([table[int(key)] for key in keys], dtype=np.uint8)
        made = np.empty(pixels.shape, dtype=np.uint8)
        strange: Counter[int] = Counter()
        for rows in row_slices(*pixels.shape):
            part = pixels[rows]
            places = np.minimum(np.searchsorted(keys, part), max(0, len(keys) - 1))
            unknown = part[keys[places] != part] if table else part
            if unknown.size and len(strange) < MOST_STRANGE:
                found, counts = np.unique(unknown, return_counts=True)
                strange.update(dict(zip(found.tolist(), counts.tolist())))
            elif not strange:
                made[rows] = codes[places]
        if strange:
            raise DataError(self._unknown(path, strange, coloured))
        return made

    @property
    def key(self) -> str:
        """Tells this translation from others."""
        told = json.dumps([sorted(self.values.items()), sorted((self.colours or {}).items())])
        return sha256(told.encode()).hexdigest()[:16]

    def _unknown(self, path: Path, strange: Counter[int], coloured: bool) -> str:
        [(most, count)] = strange.most_common(1)
        kind = "colour" if coloured else "value"
        name = colour_name(most) if coloured else str(most)
        more = f" (and {len(strange) - 1:,} more {kind}s)" if len(strange) > 1 else ""
        advice = f"Add it there, correct the mask, or leave its pixels out with --ignore {name}."
        if path.suffix.lower() in JPEG_ENDINGS:
            advice = "JPEG changes pixels: save masks as PNG."
        return f"{path}: the {kind} {name} ({count:,} pixels) is not in {self.source}{more}. {advice}"


def colour_name(colour: int) -> str:
    """0x80ff00 as "#80ff00"."""
    return f"#{colour:06x}"


def mask_reader(block: DataBlock) -> MaskReader | None:
    """What translates the masks of `block`; None where they are read as they are."""
    for transform in block.type_tfms[1]:
        if isinstance(transform, MaskReader):
            return transform
    return None
