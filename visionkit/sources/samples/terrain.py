"""What the planet sample's tiles are put together from: forest, fields, rivers, roads, houses and clouds.

Each function paints one thing over a square tile, in place. Colours overlap on purpose (a river, a road and
bare ground may have the same brown), so that shape and texture tell the things apart.
"""

import math

import numpy as np

from visionkit.sources.samples.painting import Outline, blob, coverage, lay_over, polygon, ribbon
from visionkit.sources.samples.textures import Pixels, fractal_noise, random_colour, smooth_noise

EARTH = np.array([28, 6, -22], dtype=np.float32)  # from grey towards the brown of soil
GROWTH = np.array([-8, 18, -14], dtype=np.float32)  # from grey towards the green of plants


def forest(rng: np.random.Generator, size: int) -> Pixels:
    """A new tile that is all canopy: dark, green and grainy."""
    crowns = smooth_noise(rng, size, size, 2.0) + smooth_noise(rng, size, size, 4.0)
    hills = fractal_noise(rng, size, size, 40, octaves=2)
    light = rng.uniform(48, 66) + 16 * crowns + 5 * hills
    return np.asarray(light[..., None] + rng.uniform(0.3, 1.0) * GROWTH, dtype=np.float32)


def grassland(rng: np.random.Generator, size: int) -> Pixels:
    """A new tile without forest: open, smooth and lighter."""
    light = (
        rng.uniform(120, 145) + 9 * fractal_noise(rng, size, size, 30) + 3 * smooth_noise(rng, size, size, 2)
    )
    return np.asarray(light[..., None] + _vegetation_or_soil(rng), dtype=np.float32)


def fields(rng: np.random.Generator, tile: Pixels) -> None:
    """Agriculture: large straight-edged fields side by side, each of one tone."""
    size = len(tile)
    turn, pitch = rng.uniform(0, math.pi), rng.uniform(0.24, 0.42) * size
    origin = rng.uniform(0.3, 0.7, 2) * size
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    wanted = rng.integers(4, 10)
    cells = sorted(
        np.ndindex(5, 5), key=lambda cell: (cell[0] - 2) ** 2 + (cell[1] - 2) ** 2 + rng.uniform(0, 2)
    )
    for column, row in cells[:wanted]:
        place = np.array([column - 2, row - 2])
        corners = place + polygon((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
        colour = random_colour(rng, 85, 125, 4) + _vegetation_or_soil(rng)
        furrows = 4 * smooth_noise(rng, size, size, 9)[..., None]
        lay_over(tile, coverage([corners * pitch @ axes + origin], size, size), colour + furrows)


def plots(rng: np.random.Generator, tile: Pixels) -> None:
    """Cultivation: a small patch ruled by close rows of crops."""
    size = len(tile)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    for _ in range(rng.integers(1, 4)):
        turn = rng.uniform(0, math.pi)
        across = math.cos(turn) * columns + math.sin(turn) * rows
        ruled = np.sin(across * np.float32(2 * math.pi / rng.uniform(8.5, 11.0)))
        x, y = rng.uniform(0.25, 0.75, 2) * size
        colour = random_colour(rng, 80, 125, 4) + _vegetation_or_soil(rng)
        paint = colour + 48 * ruled[..., None]
        lay_over(tile, coverage([blob(rng, x, y, rng.uniform(0.2, 0.28) * size, 0.15)], size, size), paint)


def river(rng: np.random.Generator, tile: Pixels) -> Outline:
    """Water: a wide winding band, or now and then a lake, smooth and of one tone. Returns the middle line."""
    size = len(tile)
    # Either dark and blue or bright with mud, as soil, roads and fields may be too.
    colour = random_colour(rng, 35, 60, 5) - 1.4 * EARTH
    if rng.random() < 0.35:
        colour = random_colour(rng, 100, 130, 5) + 1.2 * EARTH
    line = _winding_line(rng, size, rng.uniform(0.06, 0.14))
    swell = 1 + 0.2 * np.sin(np.linspace(0, rng.uniform(4, 12), len(line)))
    shapes = [ribbon(line, rng.uniform(0.07, 0.11) * size * swell)]
    if rng.random() < 0.2:
        x, y = line[len(line) // 2]
        shapes.append(blob(rng, x, y, rng.uniform(0.15, 0.25) * size, 0.25))
    cover = coverage(shapes, size, size)
    lay_over(tile, cover, colour + 3 * smooth_noise(rng, size, size, 40)[..., None])
    return line


def road(rng: np.random.Generator, tile: Pixels) -> Outline:
    """A thin light line, nearly straight, now and then with a side road. Returns the middle line."""
    size = len(tile)
    colour = random_colour(rng, 175, 205, 6) + rng.uniform(0.2, 1) * EARTH
    line = _crossing(rng, size, bend=rng.uniform(0, 0.04))
    width = rng.uniform(0.016, 0.02) * size
    shapes = [ribbon(line, width)]
    if rng.random() < 0.4:
        start = line[rng.integers(len(line) // 4, 3 * len(line) // 4)]
        turn = rng.uniform(0, 2 * math.pi)
        end = start + size * np.array([math.cos(turn), math.sin(turn)])
        shapes.append(ribbon(np.linspace(start, end, 4), 0.8 * width))
    lay_over(tile, coverage(shapes, size, size), colour)
    return line


def houses(rng: np.random.Generator, tile: Pixels, along: Outline) -> None:
    """Habitation: a crowd of small bright roofs, gathered near a line.

    Args:
        rng: Source of the numbers.
        tile: What to paint on.
        along: The road or river that the village lies at.
    """
    size = len(tile)
    inside = along[((along > 0.2 * size) & (along < 0.8 * size)).all(axis=1)]
    middle = inside[rng.integers(len(inside))] if len(inside) else np.full(2, size / 2)
    yard = blob(rng, middle[0], middle[1], 0.15 * size, 0.3)
    lay_over(tile, 0.5 * coverage([yard], size, size), random_colour(rng, 100, 130, 4) + 0.5 * EARTH)
    turn = rng.uniform(0, math.pi)
    for shade in (rng.uniform(25, 60), rng.uniform(190, 225), rng.uniform(210, 250)):
        roofs = []
        for x, y in middle + rng.normal(0, 0.1 * size, (rng.integers(9, 14), 2)):
            long, short = rng.uniform(3.4, 4.6), rng.uniform(2.4, 3.4)
            corners = polygon((-long, -short), (long, -short), (long, short), (-long, short))
            turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
            roofs.append(corners @ turned + (x, y))
        lay_over(tile, coverage(roofs, size, size), random_colour(rng, shade, shade, 12))


def bare_ground(rng: np.random.Generator, tile: Pixels) -> None:
    """One ragged patch of soil or rock, bright and mottled."""
    size = len(tile)
    x, y = rng.uniform(0.28, 0.72, 2) * size
    colour = random_colour(rng, 130, 165, 5) + rng.uniform(1.4, 2.0) * EARTH
    mottled = 42 * fractal_noise(rng, size, size, 8, octaves=2)
    lay_over(
        tile,
        coverage([blob(rng, x, y, rng.uniform(0.19, 0.26) * size, 0.6)], size, size),
        colour + mottled[..., None],
    )


def blossoms(rng: np.random.Generator, tile: Pixels) -> None:
    """Blooming: single crowns in flower, scattered over the canopy."""
    size = len(tile)
    colour = random_colour(rng, 170, 210, 8) + rng.uniform(0, 40) * np.array([1, 1, -1], dtype=np.float32)
    crowns = [
        blob(rng, x, y, rng.uniform(2.0, 3.2), 0.2)
        for x, y in rng.uniform(0, size, (rng.integers(35, 60), 2))
    ]
    lay_over(tile, 0.9 * coverage(crowns, size, size), colour)


def clouds(rng: np.random.Generator, tile: Pixels) -> None:
    """Partly cloudy: some thick white clouds, each with its shadow beside it."""
    size = len(tile)
    puffs: list[Outline] = []
    for _ in range(rng.integers(2, 4)):
        x, y = rng.uniform(0.05, 0.95, 2) * size
        for across, down in rng.normal(0, 0.045 * size, (4, 2)):
            puffs.append(blob(rng, x + across, y + down, rng.uniform(0.04, 0.075) * size, 0.3))
    shift = rng.uniform(0.06, 0.12, 2) * size * rng.choice([-1, 1], 2)
    tile *= 1 - 0.4 * coverage([puff + shift for puff in puffs], size, size)[..., None]
    ragged = np.clip(0.9 + 0.25 * smooth_noise(rng, size, size, 6), 0, 1)
    lay_over(tile, coverage(puffs, size, size) * ragged, np.full(3, rng.uniform(215, 245), np.float32))


def haze(rng: np.random.Generator, tile: Pixels) -> None:
    """A thin veil over everything, which takes the contrast away."""
    size = len(tile)
    veil = np.clip(rng.uniform(0.28, 0.4) + 0.06 * smooth_noise(rng, size, size, 70), 0, 1)
    lay_over(tile, veil, random_colour(rng, 165, 200, 6))


def cloud_cover(rng: np.random.Generator, size: int) -> Pixels:
    """A new tile of nothing but cloud."""
    billows = fractal_noise(rng, size, size, rng.uniform(35, 70), octaves=4, fade=0.55)
    return np.asarray((rng.uniform(165, 215) + 32 * billows)[..., None] + random_colour(rng, 0, 0, 6))


def _vegetation_or_soil(rng: np.random.Generator) -> Pixels:
    return np.asarray(rng.choice([GROWTH, EARTH]) * rng.uniform(0.3, 0.9), dtype=np.float32)


def _crossing(rng: np.random.Generator, size: int, bend: float) -> Outline:
    # A chord through the middle part of the tile, so that no line only cuts a corner.
    turn = rng.uniform(0, math.pi)
    ahead, aside = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    along = np.linspace(-0.8, 0.8, 50)[:, None]
    wave = bend * np.sin(along * rng.uniform(3, 6) + rng.uniform(0, 6.3))
    return np.asarray(size * (0.5 + rng.uniform(-0.25, 0.25) * aside + along * ahead + wave * aside))


def _winding_line(rng: np.random.Generator, size: int, bend: float) -> Outline:
    line = _crossing(rng, size, bend)
    along = np.linspace(0, rng.uniform(10, 18), len(line))[:, None]
    aside = (line[-1] - line[0])[::-1] * (-1, 1)
    return np.asarray(
        line + aside / np.hypot(*aside) * bend * 0.5 * size * np.sin(along + rng.uniform(0, 6.3))
    )
