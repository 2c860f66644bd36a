"""A small release of Open Images in the true format, with its photos, on a web server of the tests."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import md5

import numpy as np
from http_host import Host
from PIL import Image

LABELS = {"Sandwich": "/m/0l515", "Hamburger": "/m/0cdn1", "Traffic light": "/m/015qff", "Food": "/m/02wbm"}
COLOURS = {"Sandwich": (220, 40, 40), "Hamburger": (40, 200, 40), "Traffic light": (40, 40, 220)}
BOX_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
BOX_COLUMNS = BOX_HEADER.split(",")
PHOTO_HEADER = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,"
    "OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation"
)
PHOTO_COLUMNS = PHOTO_HEADER.split(",")
HIERARCHY = {
    "LabelName": "/m/0bl9f",
    "Subcategory": [
        {
            "LabelName": "/m/02wbm",
            "Subcategory": [{"LabelName": "/m/0l515", "Subcategory": [{"LabelName": "/m/0cdn1"}]}],
            "Part": [{"LabelName": "/m/015qff"}],
        }
    ],
}
SIZE = (200, 160)
BOX = (0.2, 0.7, 0.25, 0.75)


def photo_id(number: int) -> str:
    return md5(str(number).encode()).hexdigest()[:16]


def picture(boxes: Sequence[tuple[str, tuple[float, float, float, float]]], seed: int) -> Image.Image:
    """Grey noise with a rectangle in the class's colour for each box; its upper half is bright."""
    pixels = np.random.default_rng(seed).integers(90, 130, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for name, (x_min, x_max, y_min, y_max) in boxes:
        left, right = round(x_min * SIZE[0]), round(x_max * SIZE[0])
        top, bottom = round(y_min * SIZE[1]), round(y_max * SIZE[1])
        pixels[top:bottom, left:right] = COLOURS[name]
    return Image.fromarray(pixels)


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


@dataclass
class Release:
    """Metadata and photos; `put` adds them, `serve` publishes them."""

    host: Host
    boxes: list[dict[str, object]] = field(default_factory=list)
    photos: list[dict[str, object]] = field(default_factory=list)
    descriptions: str = "".join(f"{label},{name}\n" for name, label in LABELS.items())
    more_columns: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{self.host.url}/2018_04"

    def put(
        self,
        number: int,
        *classes: str,
        flags: Sequence[int] = (0, 0, 0, 0, 0),
        box: tuple[float, float, float, float] = BOX,
        content: bytes | None = None,
        **cells: object,
    ) -> str:
        """A photo with one box for each of `classes`, side by side; its id. `cells` go to its row."""
        photo = photo_id(number)
        places = [(name, box) for name in classes]
        if len(classes) > 1:
            step = 1 / len(classes)
            places = [
                (name, (place * step, (place + 0.9) * step, 0.1, 0.9)) for place, name in enumerate(classes)
            ]
        for name, corners in places:
            row = [photo, "xclick", LABELS[name], 1, *corners, *flags]
            self.boxes.append(dict(zip(BOX_COLUMNS, row)))
        content = content or jpeg(picture(places, number))
        url = self.host.serve(f"/photos/{photo}_o.jpg", content)
        row = {
            "ImageID": photo,
            "Subset": "train",
            "OriginalURL": url,
            "OriginalLandingURL": f"https://www.flickr.com/photos/someone/{number}",
            "License": "https://creativecommons.org/licenses/by/2.0/",
            "AuthorProfileURL": "https://www.flickr.com/people/someone/",
            "Author": f'Someone, "{number}"',
            "Title": "NA",
            "OriginalSize": len(content),
            "OriginalMD5": b64encode(md5(content).digest()).decode(),
            "Thumbnail300KURL": "",
            "Rotation": "0.0",
        }
        self.photos.append(row | cells)
        return photo

    def serve(self) -> str:
        """Publish the metadata; its address."""
        self.host.serve("/2018_04/class-descriptions-boxable.csv", self.descriptions.encode())
        self.host.serve("/2018_04/bbox_labels_600_hierarchy.json", json.dumps(HIERARCHY).encode())
        boxes = table([*BOX_COLUMNS, *self.more_columns], self.boxes)
        self.host.serve("/2018_04/train/train-annotations-bbox.csv", boxes)
        photos = table(PHOTO_COLUMNS, self.photos)
        self.host.serve("/2018_04/train/train-images-boxable-with-rotation.csv", photos)
        return self.address

    def asked_photos(self) -> list[str]:
        """The ids of the photos that were asked for since the last call."""
        asked = [path.rpartition("/")[2][:16] for path in self.host.paths if path.startswith("/photos/")]
        self.host.asked.clear()
        return asked


def table(columns: Sequence[str], rows: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="-1", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
