"""Which boxes of Open Images are wanted, and the rows of the photos that they lie in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from visionkit.errors import DataError
from visionkit.sources.openimages.metadata import BOXES, PHOTOS, Metadata

if TYPE_CHECKING:
    from pandas import DataFrame, Series

CORNERS = ("XMin", "XMax", "YMin", "YMax")
_FLAGS = {
    "occluded": "IsOccluded",
    "truncated": "IsTruncated",
    "depiction": "IsDepiction",
    "group": "IsGroupOf",
}
_TEXT = (
    "ImageID",
    "OriginalURL",
    "OriginalLandingURL",
    "License",
    "AuthorProfileURL",
    "Author",
    "Title",
    "OriginalMD5",
    "Thumbnail300KURL",
)
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Rules:
    """Which boxes are taken. A flag that the annotators left open (-1) leaves none out.

    Args:
        per_class: how many boxes of each class at most.
        occluded: those of things that something stands before, too.
        truncated: those of things that reach beyond the photo, too.
        depiction: those of drawings, toys and statues, too.
        group: those around more than five things that touch each other, too.
    """

    per_class: int = 500
    occluded: bool = True
    truncated: bool = True
    depiction: bool = False
    group: bool = False


def choose_boxes(metadata: Metadata, classes: Mapping[str, str], rules: Rules) -> DataFrame:
    """The boxes of `classes` (label to name) that `rules` allow: ImageID, LabelName, corners from 0 to 1.

    Photos are taken in an order that looks random and is always the same, so that more boxes of a class
    contain the fewer, and the choice of one class does not depend on the others. A box that has two of the
    classes belongs to neither.

    Raises:
        DataError: a class has no box that is allowed, or the metadata is not what it should be.
    """
    import pandas as pd

    columns = {"ImageID": str, "LabelName": str, **dict.fromkeys(CORNERS, float)}
    columns |= dict.fromkeys(_FLAGS.values(), float)
    allowed = []
    counts = dict.fromkeys(classes, 0)
    for part in metadata.tables(BOXES, columns):
        part = part[part["LabelName"].isin(list(classes))]
        for label, count in part["LabelName"].value_counts().items():
            counts[str(label)] += int(count)
        for rule, flag in _FLAGS.items():
            if not getattr(rules, rule):
                part = part[part[flag] != 1]
        allowed.append(part[["ImageID", "LabelName", *CORNERS]])
    boxes = pd.concat(allowed, ignore_index=True).drop_duplicates()
    boxes = boxes[_are_boxes(boxes)]
    boxes = boxes[~boxes.duplicated(["ImageID", *CORNERS], keep=False)]
    _check(metadata, classes, counts, boxes)
    order = {image: crc32(image.encode()) for image in boxes["ImageID"].unique()}
    boxes = boxes.assign(order=boxes["ImageID"].map(order))
    boxes = boxes.sort_values(["order", "ImageID", *CORNERS])
    return boxes.groupby("LabelName").head(rules.per_class).drop(columns="order").reset_index(drop=True)


def _are_boxes(boxes: DataFrame) -> Series[bool]:
    """Whether each row has corners in the photo, of which the second lie behind the first."""
    inside = boxes[list(CORNERS)].ge(0).all(axis=1) & boxes[list(CORNERS)].le(1).all(axis=1)
    return inside & (boxes["XMax"] > boxes["XMin"]) & (boxes["YMax"] > boxes["YMin"])


def _check(
    metadata: Metadata, classes: Mapping[str, str], counts: Mapping[str, int], boxes: DataFrame
) -> None:
    left = set(boxes["LabelName"])
    for label, name in classes.items():
        if not counts[label]:
            raise DataError(
                f"{metadata.file(BOXES)}: there are no boxes of the class {name!r}. Take another class; "
                "visionkit openimages --list shows what it includes."
            )
        if label not in left:
            raise DataError(
                f"{metadata.file(BOXES)}: no box of the class {name!r} can be used, of {counts[label]:,} "
                "that there are. Take another class, or allow more with --occluded, --truncated, "
                "--depiction, --group."
            )
    strange = next((image for image in boxes["ImageID"].unique() if not _ID.fullmatch(str(image))), None)
    if strange is not None:
        raise DataError(
            f"{metadata.file(BOXES)}: the ImageID {strange!r} is not 16 hexadecimal digits. The file is "
            "damaged; delete it, so that it is fetched again."
        )


def find_photos(metadata: Metadata, boxes: DataFrame) -> DataFrame:
    """One row for each photo that `boxes` lie in, by ImageID: addresses, checksum, author, licence, rotation.

    Empty cells are empty text; Rotation is 0, 90, 180 or 270 degrees counterclockwise. A photo that the
    metadata does not know has no row.

    Raises:
        DataError: the metadata is not what it should be.
    """
    import pandas as pd

    wanted = boxes["ImageID"].unique()
    found = []
    for part in metadata.tables(PHOTOS, {**dict.fromkeys(_TEXT, str), "Rotation": float}):
        found.append(part[part["ImageID"].isin(wanted)])  # noqa: PERF401  (a list of parts would be gigabytes)
    photos = pd.concat(found, ignore_index=True).drop_duplicates("ImageID").set_index("ImageID")
    photos["Rotation"] = photos["Rotation"].fillna(0).astype(int) % 360
    return photos.fillna("")
