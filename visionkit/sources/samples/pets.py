"""A drawn stand-in for the Oxford-IIIT Pet photos: `images/NAME_N.jpg`, eight invented breeds."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.sources.samples.animals import BREEDS, Breed, anatomy, markings, shade
from visionkit.sources.samples.painting import Placement, blob, coverage, lay_over
from visionkit.sources.samples.textures import (
    Pixels,
    fractal_noise,
    grain,
    random_colour,
    smooth_noise,
    stream,
    to_image,
)

PHOTOS_PER_BREED = 64


def draw(folder: Path, seed: int) -> None:
    """Writes the photos of all breeds into `folder/images`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    images = folder / "images"
    images.mkdir()
    for kind, breed in enumerate(BREEDS):
        for number in range(1, PHOTOS_PER_BREED + 1):
            drawn = photo(stream(seed, kind, number), breed)
            drawn.save(images / f"{breed.name}_{number}.jpg", quality=88)


def photo(rng: np.random.Generator, breed: Breed) -> Image.Image:
    """Draws one animal of the breed, in any colours, on a background that says nothing about it."""
    width, height = _size(rng)
    coat, backdrop = _colours(rng)
    pixels = _background(rng, height, width, backdrop)
    placement = _placement(rng, height, width)
    cover, light = shade(anatomy(rng, breed), placement, height, width)
    _cast_shadow(pixels, cover, placement)
    lay_over(pixels, cover, light[..., None] * _fur(rng, breed, placement, coat, height, width))
    pixels *= _lighting(rng, height, width)
    pixels += grain(rng, height, width, rng.uniform(1, 5))
    return to_image(pixels)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    area, aspect = rng.uniform(150, 210) ** 2, math.exp(rng.uniform(-0.28, 0.28))
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def _colours(rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    # One distribution for all breeds: nothing here may depend on the breed, or the mean colour would tell it.
    while True:
        # Fur goes from bluish grey over grey to ginger; a backdrop may have any cast.
        warmth = rng.uniform(-0.4, 1.0) * np.array([34, 4, -34], dtype=np.float32)
        coat = random_colour(rng, 60, 200, 6) + warmth
        backdrop = random_colour(rng, 60, 200, 32)
        if abs(float(coat.mean() - backdrop.mean())) > 38:
            return coat, backdrop


def _placement(rng: np.random.Generator, height: int, width: int) -> Placement:
    scale = min(height, width) * rng.uniform(0.72, 0.98)
    x = width / 2 + rng.uniform(-0.12, 0.12) * width
    y = height / 2 + rng.uniform(-0.06, 0.1) * height
    return Placement(x, y, scale, rng.uniform(-0.25, 0.25), bool(rng.random() < 0.5))


def _background(rng: np.random.Generator, height: int, width: int, colour: Pixels) -> Pixels:
    cloth = fractal_noise(rng, height, width, rng.uniform(10, 60), octaves=2)
    pixels: Pixels = colour + rng.uniform(4, 14) * cloth[..., None]
    floor = rng.uniform(0.45, 0.9) * height
    ground = np.clip(np.arange(height, dtype=np.float32) - floor, 0, 2)[:, None] / 2
    lay_over(pixels, ground + np.zeros((1, width), np.float32), colour + random_colour(rng, -30, 30, 12))
    for _ in range(rng.integers(0, 5)):
        spot = blob(rng, rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 45), 0.3)
        lay_over(pixels, 0.7 * coverage([spot], height, width), colour + random_colour(rng, -40, 40, 25))
    return pixels


def _cast_shadow(pixels: Pixels, cover: Pixels, placement: Placement) -> None:
    step = max(2, round(0.04 * placement.scale))
    shadow = np.zeros_like(cover)
    shadow[step:, step:] = cover[:-step, :-step]
    pixels *= 1 - 0.25 * shadow[..., None]


def _fur(
    rng: np.random.Generator, breed: Breed, placement: Placement, colour: Pixels, height: int, width: int
) -> Pixels:
    right, down = placement.coordinates(height, width)
    # Marks are darker or lighter than the coat by chance, so that they leave the mean of a breed where it is.
    marks = rng.choice([-1.0, 1.0]) * rng.uniform(36, 58) * random_colour(rng, 1, 1, 0.3)
    hair = 7 * smooth_noise(rng, height, width, 2.0) + 6 * smooth_noise(rng, height, width, 14)
    return np.asarray(colour + markings(rng, breed, right, down)[..., None] * marks + hair[..., None])


def _lighting(rng: np.random.Generator, height: int, width: int) -> Pixels:
    rows, columns = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    slope = np.float32(math.cos(angle)) * columns + np.float32(math.sin(angle)) * rows
    return np.asarray(rng.uniform(0.8, 1.2) * (1 + rng.uniform(0, 0.4) * slope)[..., None], dtype=np.float32)
