"""Random textures that the drawn samples share: noise at any scale, and the way from numbers to a picture."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.float32]


def stream(seed: int, *index: int) -> np.random.Generator:
    """Gives each picture its own random numbers, whatever was drawn before it.

    Args:
        seed: Seed of the whole data set.
        index: Position of the picture in it.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *index]))


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Pixels:
    """Noise between about -1 and 1 whose bumps are `cell` pixels wide.

    Args:
        rng: Source of the numbers.
        height: Rows.
        width: Columns.
        cell: Pixels from one random value to the next; those between are interpolated.
    """
    rows, columns = math.ceil(height / cell) + 3, math.ceil(width / cell) + 3
    grid = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    left, top = rng.uniform(0.5, 1.5, 2)
    box = (left, top, left + width / cell, top + height / cell)
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC, box=box), dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3, fade: float = 0.5
) -> Pixels:
    """Noise on several scales at once, as in clouds, foliage and plaster.

    Args:
        rng: Source of the numbers.
        height: Rows.
        width: Columns.
        cell: Width of the largest bumps in pixels; each octave halves it.
        octaves: Number of scales.
        fade: Strength of each scale relative to the one before.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        total += fade**octave * smooth_noise(rng, height, width, max(cell / 2**octave, 1.0))
    return total


def grain(rng: np.random.Generator, height: int, width: int, strength: float) -> Pixels:
    """The sensor's noise: independent from pixel to pixel, grey, with a last axis to add to colours."""
    return strength * rng.standard_normal((height, width, 1), dtype=np.float32)


def random_colour(rng: np.random.Generator, low: float, high: float, tint: float) -> Pixels:
    """A colour of random brightness and cast.

    Args:
        rng: Source of the numbers.
        low: Darkest brightness, of 255.
        high: Brightest brightness.
        tint: Largest departure of a channel from grey.
    """
    return np.asarray(rng.uniform(low, high) + rng.uniform(-tint, tint, 3), dtype=np.float32)


def to_image(pixels: Pixels) -> Image.Image:
    """Rounds and clips colours (height, width, 3) of 0 to 255 to an RGB image."""
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
