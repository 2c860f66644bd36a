"""A drawn stand-in for Kaggle's planet-understanding-the-amazon-from-space, with 12 of its 17 tags."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.sources.samples import terrain
from visionkit.sources.samples.textures import Pixels, grain, random_colour, stream, to_image

SIZE = 128
TRAINING_TILES = 640
TEST_TILES = 40
TAGS = (
    "agriculture",
    "bare_ground",
    "blooming",
    "clear",
    "cloudy",
    "cultivation",
    "habitation",
    "haze",
    "partly_cloudy",
    "primary",
    "road",
    "water",
)


def draw(folder: Path, seed: int) -> None:
    """Writes `train-jpg`, `test-jpg`, `train_v2.csv` and `sample_submission_v2.csv`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    answers = _write_tiles(folder / "train-jpg", "train", seed, part=0, count=TRAINING_TILES)
    _write_table(folder / "train_v2.csv", answers)
    names = _write_tiles(folder / "test-jpg", "test", seed, part=1, count=TEST_TILES)
    # Kaggle's own sample submission names every tag for every tile.
    _write_table(folder / "sample_submission_v2.csv", dict.fromkeys(names, TAGS))


def _write_tiles(folder: Path, stem: str, seed: int, part: int, count: int) -> dict[str, tuple[str, ...]]:
    folder.mkdir()
    answers: dict[str, tuple[str, ...]] = {}
    for number in range(count):
        rng = stream(seed, part, number)
        name, tags = f"{stem}_{number}", choose_tags(rng)
        # The real tiles are CMYK files: whoever reads them has to convert, and so it is here.
        _tile(rng, tags).convert("CMYK").save(folder / f"{name}.jpg", quality=90)
        answers[name] = tags
    return answers


def _write_table(path: Path, answers: dict[str, tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_name", "tags"])
        writer.writerows((name, " ".join(tags)) for name, tags in answers.items())


def choose_tags(rng: np.random.Generator) -> tuple[str, ...]:
    """Draws tags that occur together as the real ones do: roads lead to fields and houses, clouds hide all.

    Args:
        rng: Source of the numbers.
    """
    if rng.random() < 0.09:
        return ("cloudy",)
    tags = {str(rng.choice(["clear", "partly_cloudy", "haze"], p=[0.5, 0.28, 0.22]))}

    def toss(tag: str, chance: float) -> bool:
        if rng.random() < chance:
            tags.add(tag)
        return tag in tags

    farmed = toss("agriculture", 0.36)
    driven = toss("road", 0.6 if farmed else 0.12)
    watered = toss("water", 0.3)
    toss("habitation", 0.5 if driven else 0.15 if watered else 0.0)
    toss("cultivation", 0.35 if farmed else 0.14)
    toss("bare_ground", 0.16)
    if toss("primary", 0.75 if farmed else 0.9) and not (farmed or driven):
        toss("blooming", 0.2)
    return tuple(sorted(tags))


def _tile(rng: np.random.Generator, tags: tuple[str, ...]) -> Image.Image:
    if "cloudy" in tags:
        pixels = terrain.cloud_cover(rng, SIZE)
    else:
        pixels = _ground(rng, tags)
        pixels *= rng.uniform(0.9, 1.15) * random_colour(rng, 1, 1, 0.05)
        if "haze" in tags:
            terrain.haze(rng, pixels)
        if "partly_cloudy" in tags:
            terrain.clouds(rng, pixels)
    return to_image(pixels + grain(rng, SIZE, SIZE, 2.0))


def _ground(rng: np.random.Generator, tags: tuple[str, ...]) -> Pixels:
    pixels = terrain.forest(rng, SIZE) if "primary" in tags else terrain.grassland(rng, SIZE)
    if "blooming" in tags:
        terrain.blossoms(rng, pixels)
    if "agriculture" in tags:
        terrain.fields(rng, pixels)
    if "cultivation" in tags:
        terrain.plots(rng, pixels)
    if "bare_ground" in tags:
        terrain.bare_ground(rng, pixels)
    lines = [np.full((1, 2), SIZE / 2)]
    if "water" in tags:
        lines.append(terrain.river(rng, pixels))
    if "road" in tags:
        lines.append(terrain.road(rng, pixels))
    if "habitation" in tags:
        terrain.houses(rng, pixels, along=lines[-1])
    return pixels
