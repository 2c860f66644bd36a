"""Small shards, in bytes and in fsspec's memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from visionkit.shards.packing import Packed, pack


def jpeg(seed: int, side: int = 24) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return out.getvalue()


def labelled(first: int, count: int, side: int = 24) -> dict[str, bytes]:
    """The files of so many samples, of two classes in turn."""
    files: dict[str, bytes] = {}
    for number in range(first, first + count):
        files[f"{number:04d}.jpg"] = jpeg(number, side)
        files[f"{number:04d}.cls"] = b"odd" if number % 2 else b"even"
    return files


def shards_in(folder: Path, shards: int, images: int, side: int = 24, name: str = "train") -> list[Path]:
    """Shards with their indices beside them."""
    packed = (
        Packed(f"{number:04d}", "jpg", jpeg(number, side), "odd" if number % 2 else "even")
        for number in range(shards * images)
    )
    return pack(packed, folder, name, images)
