"""A street seen by a camera: perspective, an easel that paints picture and mask alike, and the things on it.

Positions are in metres: across (from the camera, to the right), up (from the road) and ahead.
"""

import itertools
import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from visionkit.sources.samples.textures import Pixels

WIDTH, HEIGHT = 240, 180
SUPERSAMPLING = 2
NEAREST = 2.5  # metres; what is closer lies outside of the picture

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Code(IntEnum):
    """The 12 codes of CamVid, in the order of codes.txt; a mask's values."""

    Sky = 0
    Building = 1
    Pole = 2
    Road = 3
    Pavement = 4
    Tree = 5
    SignSymbol = 6
    Fence = 7
    Car = 8
    Pedestrian = 9
    Bicyclist = 10
    Void = 11


@dataclass(frozen=True)
class Camera:
    """Where the camera looks, and how the street bends away from it."""

    horizon: float  # row of the picture
    vanishing: float  # column of the picture
    bend: float  # metres aside per metre ahead, squared
    focal: float = 165.0
    eye: float = 1.5

    def project(self, across: float, up: float, ahead: float) -> Point:
        """The pixel that shows a point of the street."""
        scale = self.focal / ahead
        return self.vanishing + scale * (across + self.bend * ahead**2), self.horizon + scale * (
            self.eye - up
        )

    def ground(self) -> tuple[Pixels, Pixels]:
        """The metres across and ahead at which each pixel would show the ground."""
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        ahead = self.focal * self.eye / np.maximum(rows - self.horizon, 0.3)
        across = (columns - self.vanishing) * ahead / self.focal - self.bend * ahead**2
        return across.astype(np.float32), ahead.astype(np.float32)


class Easel:
    """Paints every shape twice: in colour and, with its code, on the mask."""

    def __init__(self, picture: Pixels, mask: npt.NDArray[np.uint8]) -> None:
        """Starts from a background.

        Args:
            picture: Colours of 0 to 255, (height, width, 3).
            mask: The code of each pixel.
        """
        size = (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING)
        base = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        self._picture = base.resize(size, Image.Resampling.BILINEAR)
        self._mask = Image.fromarray(mask)
        self._pens = ImageDraw.Draw(self._picture), ImageDraw.Draw(self._mask)

    def polygon(self, corners: list[Point], colour: Colour, code: Code | None) -> None:
        """Fills a polygon; without a code it is a detail that leaves the mask alone."""
        if max(x for x, _ in corners) < -2 or min(x for x, _ in corners) > WIDTH + 2:
            return
        self._pens[0].polygon([(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in corners], fill=colour)
        if code is not None:
            self._pens[1].polygon(corners, fill=int(code))

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, code: Code | None
    ) -> None:
        """Fills an upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour, code)

    def ellipse(
        self, x: float, y: float, across: float, down: float, colour: Colour, code: Code | None
    ) -> None:
        """Fills an upright ellipse, from its centre and half axes."""
        turns = [2 * math.pi * step / 14 for step in range(14)]
        self.polygon([(x + across * math.cos(t), y + down * math.sin(t)) for t in turns], colour, code)

    def finish(self) -> tuple[Pixels, npt.NDArray[np.uint8]]:
        """The colours and the codes as they are now."""
        return np.asarray(self._picture.reduce(SUPERSAMPLING), np.float32), np.array(self._mask)


def tone(colour: Colour, factor: float) -> Colour:
    """A lighter or darker variety of a colour."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


def pick_colour(
    rng: np.random.Generator, low: float, high: float, warmth: float = 0.0, cast: float = 8.0
) -> Colour:
    """A random colour.

    Args:
        rng: Source of the numbers.
        low: Darkest brightness.
        high: Brightest brightness.
        warmth: From grey towards brick and sand (positive) or green-blue (negative).
        cast: Largest random departure of a channel.
    """
    parts = rng.uniform(low, high) + warmth * np.array([1.0, 0.1, -0.9]) + rng.uniform(-cast, cast, 3)
    return tone((round(parts[0]), round(parts[1]), round(parts[2])), 1)


def building(
    easel: Easel, camera: Camera, rng: np.random.Generator, across: float, near: float, far: float
) -> None:
    """A house front along the street, with rows of windows.

    Args:
        easel: What to paint on.
        camera: How it is seen.
        rng: Source of the house's looks.
        across: Where the front stands.
        near: Metres ahead at which it begins.
        far: Metres ahead at which it ends.
    """
    height = rng.uniform(6, 14)
    wall = pick_colour(rng, 70, 150, rng.uniform(15, 50))
    glass = tone(wall, rng.uniform(0.3, 0.6)) if rng.random() < 0.7 else tone(wall, 1.35)
    stops = np.linspace(far, near, 2 + int((far - near) / 4))
    for back, front in itertools.pairwise(stops.tolist()):
        side = [(0.0, back), (height, back), (height, front), (0.0, front)]
        easel.polygon([camera.project(across, up, ahead) for up, ahead in side], wall, Code.Building)
    # The end wall is seen from the street when nothing stands before it.
    beyond = across + math.copysign(9.0, across)
    corners = [(across, 0.0), (across, height), (beyond, height), (beyond, 0.0)]
    easel.polygon([camera.project(x, up, near) for x, up in corners], tone(wall, 0.85), Code.Building)
    storey, bay = rng.uniform(2.6, 3.3), rng.uniform(2.2, 3.6)
    for bottom in np.arange(0.9, height - 2.0, storey):
        for start in np.arange(near + 0.6, min(far, 60.0) - 1.5, bay):
            pane = [
                (bottom, start),
                (bottom + 1.5, start),
                (bottom + 1.5, start + 1.3),
                (bottom, start + 1.3),
            ]
            easel.polygon([camera.project(across, up, ahead) for up, ahead in pane], glass, None)


def fence(
    easel: Easel, camera: Camera, rng: np.random.Generator, across: float, near: float, far: float
) -> None:
    """A paling beside the pavement; takes the same arguments as `building`."""
    height = rng.uniform(1.3, 2.2)
    boards = pick_colour(rng, 50, 150, rng.uniform(-10, 25))
    for start in np.arange(far - 0.8, near, -0.8):
        side = [(0.0, start + 0.8), (height, start + 0.8), (height, start), (0.0, start)]
        easel.polygon([camera.project(across, up, ahead) for up, ahead in side], boards, Code.Fence)
        if start < 30:
            gap = [(0.15, start + 0.45), (height - 0.2, start + 0.45), (height - 0.2, start), (0.15, start)]
            easel.polygon([camera.project(across, up, ahead) for up, ahead in gap], tone(boards, 0.55), None)


def tree(easel: Easel, camera: Camera, rng: np.random.Generator, across: float, ahead: float) -> None:
    """A trunk and a crown of many leafy lumps.

    Args:
        easel: What to paint on.
        camera: How it is seen.
        rng: Source of the tree's looks.
        across: Where it stands.
        ahead: How far away it stands.
    """
    x, foot = camera.project(across, 0, ahead)
    scale = camera.focal / ahead
    stem, crown = rng.uniform(1.2, 2.5), rng.uniform(1.5, 3.0)
    bark, leaves = pick_colour(rng, 40, 90, 15), pick_colour(rng, 50, 95, -4)
    leaves = (leaves[0], min(255, leaves[1] + round(rng.uniform(20, 40))), leaves[2])
    half = max(0.6, 0.16 * scale)
    easel.rectangle(x - half, foot - (stem + 1) * scale, x + half, foot, bark, Code.Tree)
    for _ in range(16):
        right, up = rng.normal(0, 0.5, 2) * crown
        radius = rng.uniform(0.25, 0.5) * crown * scale
        middle = foot - (stem + crown + up) * scale
        easel.ellipse(
            x + right * scale, middle, radius, radius, tone(leaves, rng.uniform(0.6, 1.4)), Code.Tree
        )


def bush(
    easel: Easel, camera: Camera, rng: np.random.Generator, across: float, near: float, far: float
) -> None:
    """A hedge or shrubs along the pavement; takes the same arguments as `building`."""
    for ahead in np.arange(far, near, -1.6):
        x, foot = camera.project(across, 0, ahead)
        scale = camera.focal / ahead
        leaves = pick_colour(rng, 45, 85, -4)
        leaves = (leaves[0], leaves[1] + round(rng.uniform(20, 40)), leaves[2])
        for _ in range(3):
            right, up = rng.uniform(-0.8, 0.8), rng.uniform(0.3, 1.1)
            easel.ellipse(x + right * scale, foot - up * scale, 0.8 * scale, up * scale, leaves, Code.Tree)
