"""Outlines, how to place them, and how to lay them over a picture with soft edges."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from visionkit.sources.samples.textures import Pixels

Outline = npt.NDArray[np.float64]
SUPERSAMPLING = 2


def ellipse(x: float, y: float, across: float, down: float, angle: float = 0.0) -> Outline:
    """The outline of an ellipse, as points that can be moved and turned.

    Args:
        x: Centre, to the right.
        y: Centre, downwards.
        across: Half width.
        down: Half height.
        angle: Turn in radians.
    """
    turns = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    right, under = across * np.cos(turns), down * np.sin(turns)
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.stack([x + cosine * right - sine * under, y + sine * right + cosine * under], axis=1)


def polygon(*corners: tuple[float, float]) -> Outline:
    """An outline from its corners."""
    return np.asarray(corners, dtype=np.float64)


def ribbon(points: Outline, widths: float | npt.NDArray[np.float64]) -> Outline:
    """The outline of a band along a line: a tail, a road, a river.

    Args:
        points: The middle of the band.
        widths: Half of its width, the same everywhere or one for each point.
    """
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1])[:, None], 1e-9)
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.reshape(np.asarray(widths), (-1, 1))
    return np.concatenate([points + aside, (points - aside)[::-1]])


def blob(rng: np.random.Generator, x: float, y: float, radius: float, roughness: float = 0.3) -> Outline:
    """An irregular rounded outline: a pond, a clearing, the crown of a tree.

    Args:
        rng: Source of the numbers.
        x: Centre, to the right.
        y: Centre, downwards.
        radius: Mean radius.
        roughness: How far the edge departs from a circle, as a part of the radius.
    """
    turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    swell = np.ones_like(turns)
    for waves in range(2, 6):
        swell += roughness / (waves - 0.5) * rng.normal() * np.cos(waves * turns + rng.uniform(0, 6.3))
    swell = radius * np.clip(swell, 0.35, 1.8)
    return np.stack([x + swell * np.cos(turns), y + swell * np.sin(turns)], axis=1)


def coverage(outlines: Iterable[Outline], height: int, width: int) -> Pixels:
    """How much of each pixel lies inside any of the outlines, 0 to 1."""
    mask = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    pen = ImageDraw.Draw(mask)
    for outline in outlines:
        pen.polygon((outline * SUPERSAMPLING).ravel().tolist(), fill=255)
    return np.asarray(mask.reduce(SUPERSAMPLING), dtype=np.float32) / np.float32(255)


def lay_over(pixels: Pixels, cover: Pixels, paint: Pixels) -> None:
    """Paints over a picture in place.

    Args:
        pixels: The picture, (height, width, 3).
        cover: How opaque the paint is at each pixel, 0 to 1.
        paint: One colour, or one for each pixel.
    """
    pixels += cover[..., None] * (paint - pixels)


@dataclass(frozen=True)
class Placement:
    """Where a figure drawn around (0, 0), about 1 in size, stands in a photo."""

    x: float
    y: float
    scale: float
    angle: float
    mirrored: bool

    def place(self, outline: Outline) -> Outline:
        """Moves an outline of the figure to its pixels."""
        return np.asarray(outline @ self._matrix().T + (self.x, self.y))

    def coordinates(self, height: int, width: int) -> tuple[Pixels, Pixels]:
        """The figure's own coordinates of every pixel, so that a coat turns with the animal."""
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        inverse = np.linalg.inv(self._matrix()).astype(np.float32)
        right, down = columns - np.float32(self.x), rows - np.float32(self.y)
        return inverse[0, 0] * right + inverse[0, 1] * down, inverse[1, 0] * right + inverse[1, 1] * down

    def _matrix(self) -> npt.NDArray[np.float64]:
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        side = -1.0 if self.mirrored else 1.0
        return self.scale * np.array([[cosine * side, -sine], [sine * side, cosine]])
