"""The animals of the pets sample in shards: `train-00000N.tar` and `valid-00000N.tar`."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from visionkit.shards.packing import Packed, pack
from visionkit.sources.samples import class_folders

PER_SHARD = 32
"""Images."""


def draw(folder: Path, seed: int) -> None:
    """Writes shards with an index beside each.

    Args:
        folder: An existing, empty folder.
        seed: The same seed gives the same bytes.
    """
    class_folders.draw(folder, seed)
    for part in ("train", "valid"):
        photos = sorted((folder / part).glob("*/*.jpg"))
        Random(seed).shuffle(photos)
        images = (
            Packed(f"{photo.parent.name}-{photo.stem}", "jpg", photo.read_bytes(), photo.parent.name)
            for photo in photos
        )
        pack(images, folder, part, PER_SHARD)
        shutil.rmtree(folder / part)
