"""The animals of the pets sample as a user's own data: `train/BREED` and `valid/BREED`."""

from __future__ import annotations

from pathlib import Path

from visionkit.sources.samples import pets

VALIDATION_PHOTOS = 13
"""Of each breed."""


def draw(folder: Path, seed: int) -> None:
    """Writes `train/BREED/N.jpg` and `valid/BREED/N.jpg`.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    pets.draw(folder, seed)
    for photo in sorted((folder / "images").iterdir()):
        breed, _, number = photo.stem.rpartition("_")
        part = "valid" if int(number) <= VALIDATION_PHOTOS else "train"
        target = folder / part / breed
        target.mkdir(parents=True, exist_ok=True)
        photo.rename(target / f"{number}.jpg")
    (folder / "images").rmdir()
