"""The real images that an export is compared on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from visionkit.data.splits import SPLIT_FILE
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.image_sources import find_images
from visionkit.runs import Run

MOST_PHOTOS = 64
MOST_PIXELS = 1 << 22
"""Of all inputs to the network together; a few images are compared whatever their size."""
Item = TypeVar("Item")


def photo_count(size: Sequence[int]) -> int:
    """How many images of this height and width to compare at most."""
    return max(4, min(MOST_PHOTOS, MOST_PIXELS // (size[0] * size[1])))


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[place * (len(items) - 1) // (count - 1)] for place in range(count)]


def comparison_photos(run: Run | None, bundle: Path, data: Path | None, count: int) -> list[Path]:
    """At most `count` images: those in `data` where given, else validation images of the run.

    Raises:
        UsageError: there are none in `data`, or it has to be given.
        VisionkitError: the run's images are no longer there.
    """
    if data is not None:
        found = [Path(each) for each in find_images([str(data)]) if isinstance(each, str)]
        if not found:
            raise UsageError(f"--data {data}: there are no images.")
        return spread(found, count)
    if run is None:
        raise UsageError(
            f"{bundle}: a bundle has no images of its own. Give a folder of real ones with --data: the "
            "export is compared with PyTorch on them."
        )
    folder = Path(run.info["data"]["path"])
    photos = [folder / name for name in _validation_names(run)]
    there = [photo for photo in spread(photos, count) if photo.is_file()]
    if not there:
        raise VisionkitError(
            f"{folder}: the validation images of {run.name} are no longer there, and an export is compared "
            "with PyTorch on them. Give a folder of such images with --data."
        )
    return there


def _validation_names(run: Run) -> list[str]:
    file = run.path / SPLIT_FILE
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return [row["image"] for row in csv.DictReader(lines) if row["part"] == "valid"]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise VisionkitError(f"{file}: cannot be read ({error}).") from error
