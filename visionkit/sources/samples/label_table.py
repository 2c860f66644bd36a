"""The satellite images of the planet sample as a user's own data, with a table of another kind."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from visionkit.sources.samples import planet


def draw(folder: Path, seed: int) -> None:
    """Writes `photos/tile_0.jpg` and `tiles.csv` with `file;labels;is_valid`, labels divided by `|`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    rows = [(f"{name}.jpg", "|".join(tags)) for name, tags in _tiles(folder, seed, "photos")]
    with (folder / "tiles.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["file", "labels", "is_valid"])
        writer.writerows((name, labels, int(at % 5 == 0)) for at, (name, labels) in enumerate(rows))


def draw_plain(folder: Path, seed: int) -> None:
    """Writes `images/tile_0.jpg` and `labels.csv` with `image_name,tags`, tags divided by spaces.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    rows = [(name, " ".join(tags)) for name, tags in _tiles(folder, seed, "images")]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_name", "tags"])
        writer.writerows(rows)


def _tiles(folder: Path, seed: int, images: str) -> list[tuple[str, list[str]]]:
    """Draw the planet sample's training tiles into `folder/images`: their names and tags."""
    planet.draw(folder, seed)
    with (folder / "train_v2.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["image_name"], row["tags"].split()) for row in csv.DictReader(file)]
    (folder / images).mkdir()
    tiles = []
    for name, tags in rows:
        renamed = name.replace("train_", "tile_")
        (folder / "train-jpg" / f"{name}.jpg").rename(folder / images / f"{renamed}.jpg")
        tiles.append((renamed, tags))
    shutil.rmtree(folder / "train-jpg")
    shutil.rmtree(folder / "test-jpg")
    for table in ("train_v2.csv", "sample_submission_v2.csv"):
        (folder / table).unlink()
    return tiles
