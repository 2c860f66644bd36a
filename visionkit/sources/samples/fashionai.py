"""A drawn stand-in for FashionAI's photos: figures in skirts of five lengths or cut off above the hem,
with the competition's table.

Only `skirt_length` is drawn. Where a figure stands and which colours it wears say nothing about its skirt.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.sources.samples.painting import (
    Outline,
    Placement,
    coverage,
    ellipse,
    lay_over,
    polygon,
    ribbon,
)
from visionkit.sources.samples.textures import (
    Pixels,
    fractal_noise,
    grain,
    random_colour,
    smooth_noise,
    stream,
    to_image,
)

SIZE = 144
PHOTOS = 540
WAIST, ANKLE = -0.12, 0.44
HEMS = (0.0, 0.12, 0.24, 0.35, 0.47)
"""How far down a skirt of each length reaches, from Short to Floor; the figure is about 1 high."""
SPREAD, CLOSE = 0.035, 0.6
"""How far hems depart from that, and from which part of it on the next length is a maybe."""


@dataclass(frozen=True)
class Skirt:
    """A label with what is drawn for it: how far down the hem is, and whether the photo ends above it."""

    letters: str
    hem: float
    close_up: bool = False


def draw(folder: Path, seed: int) -> None:
    """Writes `base/Images/skirt_length_labels` and `base/Annotations/label.csv`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    images = folder / "base" / "Images" / "skirt_length_labels"
    images.mkdir(parents=True)
    rows = []
    for number in range(PHOTOS):
        rng = stream(seed, number)
        skirt = choose_skirt(rng, number % (len(HEMS) + 1))
        name = f"{number:04d}.jpg"
        _photo(rng, skirt).save(images / name, quality=88)
        rows.append((f"Images/{images.name}/{name}", images.name, skirt.letters))
    table = folder / "base" / "Annotations" / "label.csv"
    table.parent.mkdir()
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def choose_skirt(rng: np.random.Generator, value: int) -> Skirt:
    """Draws a hem for the value (0: not to be seen), and its label with `m` where the next length is near.

    Args:
        rng: Source of the numbers.
        value: Which of the six values it has.
    """
    letters = ["n"] * (len(HEMS) + 1)
    letters[value] = "y"
    if value == 0:
        return Skirt("".join(letters), float(rng.choice(HEMS)), close_up=True)
    departure = rng.uniform(-1, 1)
    near = value + (1 if departure > 0 else -1)
    if abs(departure) > CLOSE and 1 <= near <= len(HEMS):
        letters[near] = "m"
    return Skirt("".join(letters), HEMS[value - 1] + SPREAD * float(departure))


def _photo(rng: np.random.Generator, skirt: Skirt) -> Image.Image:
    backdrop = random_colour(rng, 120, 225, 25)
    cloth = fractal_noise(rng, SIZE, SIZE, rng.uniform(20, 60), octaves=2)
    pixels: Pixels = backdrop + rng.uniform(3, 10) * cloth[..., None]
    scale = SIZE * rng.uniform(0.88, 0.98)
    x, y = SIZE * (0.5 + rng.uniform(-0.1, 0.1)), SIZE * (0.5 + rng.uniform(-0.02, 0.02))
    if skirt.close_up:
        scale *= rng.uniform(1.7, 2.1)
        y = SIZE - (WAIST + rng.uniform(-0.05, 0.05)) * scale
    place = Placement(x, y, scale, rng.uniform(-0.05, 0.05), bool(rng.random() < 0.5))
    skin = random_colour(rng, 70, 190, 4) + np.array([18, 0, -16], dtype=np.float32)
    blouse, skirt_colour = random_colour(rng, 40, 230, 60), random_colour(rng, 40, 230, 60)
    stride = rng.uniform(0.02, 0.07)
    legs = [
        ribbon(polygon((side * 0.05, WAIST + 0.05), (side * (0.05 + stride), ANKLE)), 0.032)
        for side in (-1, 1)
    ]
    _paint(rng, pixels, place, [*legs, ellipse(0, -0.4, 0.06, 0.075)], skin)
    feet = [ellipse(side * (0.06 + stride), ANKLE + 0.02, 0.045, 0.022) for side in (-1, 1)]
    _paint(rng, pixels, place, feet, random_colour(rng, 20, 120, 30))
    flare = rng.uniform(0.03, 0.12) + 0.12 * (skirt.hem - WAIST)
    hem = polygon((-0.085, WAIST), (0.085, WAIST), (0.085 + flare, skirt.hem), (-0.085 - flare, skirt.hem))
    _paint(rng, pixels, place, [hem], skirt_colour)
    arms = [ribbon(polygon((side * 0.1, -0.29), (side * 0.17, 0.0)), 0.024) for side in (-1, 1)]
    body = polygon((-0.12, -0.31), (0.12, -0.31), (0.09, WAIST + 0.01), (-0.09, WAIST + 0.01))
    _paint(rng, pixels, place, [*arms, body], blouse)
    return to_image(pixels + grain(rng, SIZE, SIZE, rng.uniform(1, 4)))


def _paint(
    rng: np.random.Generator, pixels: Pixels, place: Placement, outlines: list[Outline], colour: Pixels
) -> None:
    cover = coverage((place.place(outline) for outline in outlines), SIZE, SIZE)
    folds = 8 * smooth_noise(rng, SIZE, SIZE, rng.uniform(4, 16))
    lay_over(pixels, cover, np.asarray(colour + folds[..., None], dtype=np.float32))
