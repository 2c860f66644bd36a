"""A drawn stand-in for boxes cut out of Open Images: `CLASS/PHOTO_1.jpg`, four kinds of food on tables."""

import csv
import math
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.sources.samples.painting import (
    Outline,
    Placement,
    blob,
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

PHOTOS_PER_CLASS = 64
Layer = tuple[list[Outline], float]
"""Outlines that are painted together, and how bright they are beside the food; 0 lets the table through."""


def draw(folder: Path, seed: int) -> None:
    """Writes the boxes of all classes into folders of their names, and `photos.csv`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    credits_ = [
        ("ImageID", "Author", "AuthorProfileURL", "License", "OriginalLandingURL", "Title", "OriginalURL")
    ]
    for kind, (name, layers) in enumerate(FOODS.items()):
        (folder / name).mkdir()
        for number in range(PHOTOS_PER_CLASS):
            photo = sha256(f"{seed} {kind} {number}".encode()).hexdigest()[:16]
            credits_.append((photo, "visionkit", "", "", "", f"a drawn {name.lower()}", ""))
            table = _colours(stream(seed, kind, number))
            for box in range(1 + (number % 3 == 0)):  # two of them on every third table
                picture = _box(stream(seed, kind, number, box), layers, *table)
                picture.save(folder / name / f"{photo}_{box + 1}.jpg", quality=88)
    with (folder / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(credits_)


def _colours(rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    # One distribution for all classes: the mean colour tells nothing.
    while True:
        food = random_colour(rng, 70, 190, 8) + rng.uniform(0, 1) * np.array([30, 2, -34], dtype=np.float32)
        table = random_colour(rng, 50, 210, 30)
        if abs(float(food.mean() - table.mean())) > 42:
            return food, table


def _box(
    rng: np.random.Generator,
    layers: Callable[[np.random.Generator], list[Layer]],
    food: Pixels,
    table: Pixels,
) -> Image.Image:
    """A box with its margin; now and then a part of the food lies outside, as where the photo ends."""
    width, height = (round(rng.uniform(90, 150)) for _ in range(2))
    cloth = fractal_noise(rng, height, width, rng.uniform(8, 40), octaves=2)
    pixels: Pixels = table + rng.uniform(4, 16) * cloth[..., None]
    plate = ellipse(width / 2, height / 2, *rng.uniform(0.5, 0.9, 2) * (width, height))
    lay_over(pixels, 0.6 * coverage([plate], height, width), table + random_colour(rng, -35, 35, 10))
    behind = pixels.copy()
    apart = 0.22 if rng.random() < 0.15 else 0.04
    place = Placement(
        width / 2 + rng.uniform(-apart, apart) * width,
        height / 2 + rng.uniform(-apart, apart) * height,
        min(width, height) * rng.uniform(0.8, 1.0),
        rng.uniform(-0.35, 0.35),
        bool(rng.random() < 0.5),
    )
    crumb = 9 * smooth_noise(rng, height, width, 3) + 8 * smooth_noise(rng, height, width, 18)
    for outlines, tone in layers(rng):
        cover = coverage((place.place(outline) for outline in outlines), height, width)
        if tone:
            shadow = np.zeros_like(cover)
            shadow[2:, 1:] = cover[:-2, :-1]
            pixels *= 1 - 0.3 * shadow[..., None]
        lay_over(pixels, cover, tone * food + crumb[..., None] if tone else behind)
    pixels *= np.float32(rng.uniform(0.85, 1.15))
    pixels += grain(rng, height, width, rng.uniform(1, 5))
    return to_image(pixels)


def _hamburger(rng: np.random.Generator) -> list[Layer]:
    rise = rng.uniform(0.28, 0.4)
    over = np.linspace(math.pi, 2 * math.pi, 24)
    top = np.stack([0.44 * np.cos(over), -0.06 + rise * np.sin(over)], axis=1)
    bottom = polygon((-0.42, 0.16), (0.42, 0.16), (0.36, 0.34), (-0.36, 0.34))
    waves = np.linspace(-0.47, 0.47, 30)
    lettuce = np.stack([waves, 0.0 + 0.03 * np.sin(waves * rng.uniform(25, 40))], axis=1)
    patty = ribbon(polygon((-0.42, 0.1), (0.42, 0.1)), 0.06)
    seeds = [
        ellipse(x, -0.12 - rise * rng.uniform(0.1, 0.5), 0.018, 0.012) for x in rng.uniform(-0.25, 0.25, 8)
    ]
    return [([bottom], 1.0), ([patty], 0.4), ([ribbon(lettuce, 0.045)], 0.75), ([top], 1.05), (seeds, 1.5)]


def _sandwich(rng: np.random.Generator) -> list[Layer]:
    deep, lean = rng.uniform(0.1, 0.15), rng.uniform(0.1, 0.25)
    face = polygon((-0.46, -0.08), (lean - 0.1, -0.4), (0.46, -0.08))
    slices = [
        polygon((-0.46, y), (0.46, y), (0.46, y + deep), (-0.46, y + deep)) for y in (-0.08, 0.08 + deep)
    ]
    filling = polygon((-0.47, deep - 0.08), (0.47, deep - 0.08), (0.47, 0.08 + deep), (-0.47, 0.08 + deep))
    middle = deep + rng.uniform(-0.02, 0.04)
    ham = ribbon(polygon((-0.48, middle), (0.48, middle)), 0.035)
    return [([slices[1]], 1.0), ([filling], 0.7), ([ham], 0.42), ([slices[0]], 0.9), ([face], 1.15)]


def _pizza(rng: np.random.Generator) -> list[Layer]:
    across = rng.uniform(0.38, 0.46)
    turns = rng.uniform(0, math.pi) + np.arange(4) * math.pi / 4
    ends = [(0.4 * math.cos(turn), 0.9 * across * math.sin(turn)) for turn in turns]
    cuts = [ribbon(polygon((-x, -y), (x, y)), 0.01) for x, y in ends]
    spots = [
        ellipse(0.3 * r * math.cos(t), across * 0.7 * r * math.sin(t), 0.055, 0.05)
        for r, t in zip(rng.uniform(0.25, 1, 10), rng.uniform(0, 6.3, 10))
    ]
    return [
        ([ellipse(0, 0, 0.46, across)], 0.75),
        ([ellipse(0, 0, 0.4, across - 0.06)], 1.1),
        (spots, 0.45),
        (cuts, 0.6),
    ]


def _doughnut(rng: np.random.Generator) -> list[Layer]:
    across, hole = rng.uniform(0.34, 0.46), rng.uniform(0.12, 0.17)
    turns, far = rng.uniform(0, 6.3, 16), rng.uniform(0.5, 0.85, 16)
    crumbs = [
        ellipse(0.46 * r * math.cos(t), across * r * math.sin(t), 0.03, 0.011, t) for t, r in zip(turns, far)
    ]
    icing = blob(rng, 0, 0, 1.0, 0.04) * (0.41, across - 0.05)
    return [
        ([ellipse(0, 0, 0.46, across)], 0.9),
        ([icing], rng.choice([0.5, 1.25])),
        (crumbs, rng.choice([0.3, 1.6])),
        ([ellipse(0, 0, hole * 1.12, hole * across / 0.42)], 0.6),
        ([ellipse(0, 0.01, hole, hole * across / 0.46)], 0.0),
    ]


FOODS: dict[str, Callable[[np.random.Generator], list[Layer]]] = {
    "Doughnut": _doughnut,
    "Hamburger": _hamburger,
    "Pizza": _pizza,
    "Sandwich": _sandwich,
}
