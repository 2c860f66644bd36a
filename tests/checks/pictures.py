"""Small pictures that differ from each other as photos do, and data sets without a fault."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, width: int = 80, height: int = 64) -> Image.Image:
    """Smooth blobs of colour: no two seeds look alike, and copies survive JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def save(path: Path, seed: int, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


def clean_folder(root: Path, each: int = 12) -> Path:
    """Two classes, `each` images for training and 3 for validation, in folders."""
    seed = 0
    for part, count in (("train", each), ("valid", 3)):
        for label in ("cat", "dog"):
            for number in range(count):
                seed += 1
                save(root / part / label / f"{label}_{number}.jpg", seed)
    return root
