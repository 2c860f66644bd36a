"""Pictures of answers: masks as index PNGs, and masks or points over the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from visionkit.atomic import atomic_file
from visionkit.inference.results import UNSEEN, MaskPrediction, PointPrediction
from visionkit.visible import visible

OPACITY = 0.5
NARROWEST = 240
"""Pixels that a legend needs; narrower images stand on white."""
MOST_NAMES = 40
"""Names that a legend has at most; those with the largest shares."""
MOST_LETTERS = 60
_TEXT, _SWATCH, _GAP = 13, 12, 6


def index_mask(prediction: MaskPrediction, colors: np.ndarray) -> Image.Image:
    """The codes as they are: 8 bits with a palette, 16 bits without where there are more than 255 codes.

    The greatest value, 255 or 65535, stands where the network did not look.

    Args:
        prediction: the codes.
        colors: float RGB from 0 to 1 of each code, shape (codes, 3).
    """
    if len(prediction.vocab) > 255:
        return Image.fromarray(
            np.where(prediction.codes == UNSEEN, 65535, prediction.codes).astype(np.uint16)
        )
    picture = Image.fromarray(np.where(prediction.codes == UNSEEN, 255, prediction.codes).astype(np.uint8))
    palette = np.full((256, 3), 255, dtype=np.uint8)
    palette[: len(colors)] = _bytes(colors)
    picture.putpalette(palette.tobytes())
    return picture


def mask_overlay(picture: Image.Image, prediction: MaskPrediction, colors: np.ndarray) -> Image.Image:
    """The codes in their colours over the picture, under it the names of those that occur."""
    image = np.asarray(picture.convert("RGB"))
    seen = (prediction.codes != UNSEEN)[..., None]
    tint = _bytes(colors)[np.maximum(prediction.codes, 0)]
    mixed = (image * (1 - OPACITY) + tint * OPACITY).astype(np.uint8)
    order = np.argsort(-prediction.shares, kind="stable")[:MOST_NAMES]
    names = [
        (prediction.vocab[place], _bytes(colors[place])) for place in order if prediction.shares[place] > 0
    ]
    return _with_legend(Image.fromarray(np.where(seen, mixed, image)), names)


def point_overlay(picture: Image.Image, prediction: PointPrediction, colors: np.ndarray) -> Image.Image:
    """A ring around each point, under the picture their names."""
    drawn = picture.convert("RGB")
    draw = ImageDraw.Draw(drawn)
    radius = max(3.0, max(drawn.size) / 80)
    for (x, y), color in zip(prediction.points, _bytes(colors)):
        around = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(around, outline="white", width=max(2, round(radius / 2)))
        draw.ellipse(around, outline=tuple(color.tolist()), width=max(1, round(radius / 4)))
    return _with_legend(drawn, list(zip(prediction.vocab, _bytes(colors)))[:MOST_NAMES])


def save_png(picture: Image.Image, path: Path, level: int = 6) -> None:
    """Write a PNG file whole, or not at all; missing folders are made.

    Args:
        picture: in any mode that PNG has.
        path: the file.
        level: of compression, 0 to 9.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, sync_folder=False) as file:
        picture.save(file, format="PNG", compress_level=level)


def _with_legend(picture: Image.Image, names: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    font = ImageFont.load_default(size=_TEXT)
    width = max(picture.width, NARROWEST)
    names = [(visible(name)[:MOST_LETTERS], color) for name, color in names]
    line = max(_SWATCH, _TEXT) + _GAP
    places: list[tuple[int, int]] = []
    x, y = _GAP, _GAP
    for name, _ in names:
        needed = _SWATCH + _GAP + round(font.getlength(name)) + 2 * _GAP
        if x + needed > width and x > _GAP:
            x, y = _GAP, y + line
        places.append((x, y))
        x += needed
    whole = Image.new("RGB", (width, picture.height + (y + line if names else 0)), "white")
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for (name, color), (x, y) in zip(names, places):
        top = picture.height + y
        fill = tuple(color.tolist())
        draw.rectangle((x, top, x + _SWATCH, top + _SWATCH), fill=fill, outline="black")
        draw.text((x + _SWATCH + _GAP, top - 2), name, fill="black", font=font)
    return whole


def _bytes(colors: np.ndarray) -> np.ndarray:
    return np.round(colors * 255).astype(np.uint8)
