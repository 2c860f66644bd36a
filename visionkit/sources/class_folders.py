"""Images in memory, written as a folder for each class."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from visionkit.errors import VisionkitError
from visionkit.progress import Progress

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for itself."""


def write_class_folders(data_set: Any, folder: Path, label: str, progress: Progress) -> None:
    """Write `folder/CLASS/00001.png`, … with the number that the image has in the data set, from 1.

    Args:
        data_set: has a length, gives pairs of a PIL image and a class's number, and may have `classes`.
        folder: made where it is not there.
        label: what `progress` calls it.
        progress: hears how many images are written.

    Raises:
        VisionkitError: an item is no such pair.
    """
    from PIL.Image import Image

    classes = list(getattr(data_set, "classes", None) or ())
    names: dict[int, str] = {}
    digits = max(5, len(str(len(data_set))))
    with progress.track(f"writing {label}", len(data_set), "images") as advance:
        for index in range(len(data_set)):
            item = data_set[index]
            if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], Image):
                raise VisionkitError(f"{label}: its item {index} is not an image and a class.")
            image, target = item[0], int(item[1])
            if target not in names:
                known = classes[target] if 0 <= target < len(classes) else target
                names[target] = folder_name(str(known), target, names.values())
                (folder / names[target]).mkdir(parents=True)
            image.save(folder / names[target] / f"{index + 1:0{digits}}.png", compress_level=1)
            advance(1)


def folder_name(name: str, number: int, taken: Iterable[str]) -> str:
    """A class's name as that of a folder on any system, other than those `taken` in upper or lower case.

    Args:
        name: of the class.
        number: of the class, which makes the name differ where it must.
        taken: the folders that other classes have.
    """
    safe = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]+', "-", name)[:100].strip(" .")
    safe = f"class-{number}" if not safe.strip("-") or _RESERVED.fullmatch(safe) else safe
    others = {other.casefold() for other in taken}
    while safe.casefold() in others:
        safe = f"{safe}-{number}"
    return safe
