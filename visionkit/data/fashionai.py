"""The annotations of FashionAI's attribute data: one row an image and attribute, with letters for labels."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from visionkit.data.images import skipped_names
from visionkit.data.lookup import ImageLookup, refuse_orphans
from visionkit.data.problems import refuse
from visionkit.data.tables import Table, headerless_table, shown
from visionkit.errors import DataError, listing, nearest
from visionkit.setting_types import setting
from visionkit.settings import ClassifierSettings

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset

AttributeName = Literal[
    "skirt_length", "sleeve_length", "pant_length", "coat_length",
    "collar_design", "lapel_design", "neck_design", "neckline_design",
]  # fmt: skip
VALUES: dict[str, tuple[str, ...]] = {
    "skirt_length": ("Invisible", "Short", "Knee", "Midi", "Ankle", "Floor"),
    "sleeve_length": (
        "Invisible", "Sleeveless", "Cup", "Short", "Elbow", "3/4", "Wrist", "Long", "Extra Long",
    ),
    "pant_length": ("Invisible", "Short", "Mid", "3/4", "Cropped", "Full"),
    "coat_length": (
        "Invisible", "High Waist", "Regular", "Long", "Micro", "Knee", "Midi", "Ankle&Floor",
    ),
    "collar_design": ("Invisible", "Shirt", "Peter Pan", "Puritan", "Rib"),
    "lapel_design": ("Invisible", "Notched", "Collarless", "Shawl", "Plus Size Shawl"),
    "neck_design": ("Invisible", "Turtle", "Ruffle Semi-High", "Low Turtle", "Draped"),
    "neckline_design": (
        "Invisible", "Strapless", "Deep V", "Straight", "V", "Square", "Off Shoulder", "Round", "Sweetheart",
        "One Shoulder",
    ),
}  # fmt: skip
"""The eight attributes, and the values of each in the order of the labels' letters."""

COLUMNS = ("image", "attribute", "label")
TABLES = ("base/Annotations/label.csv", "Annotations/label.csv", "label.csv")
PAGE = "https://tianchi.aliyun.com/competition/entrance/231649"


class Label(NamedTuple):
    """What the letters of a label say: the place of the `y`, and the places of the `m`s (maybe)."""

    value: int
    maybe: tuple[int, ...]


class AnnotatedImage(NamedTuple):
    """One row: the image's file, the attribute's value, and the values that it may also have."""

    path: Path
    value: str
    maybe: tuple[str, ...]


def known_attribute(name: str) -> str:
    """`name`, for settings; raises pydantic's error where it is none of the eight, and gives the nearest."""
    if name in VALUES:
        return name
    close = get_close_matches(str(name), VALUES, n=1)
    reason = (
        f"{close[0]!r} is the nearest of the eight attributes"
        if close
        else f"it should be one of {', '.join(VALUES)}"
    )
    raise PydanticCustomError("attribute", "{reason}", {"reason": reason})


class AttributeSettings(ClassifierSettings):
    """Which attribute to tell, and how to judge it."""

    attribute: Annotated[
        AttributeName,
        BeforeValidator(known_attribute),
        setting(f"What to tell of the clothes: {', '.join(VALUES)}.", "Recipe", "ATTRIBUTE"),
    ] = "skirt_length"
    tta_crops: Annotated[
        Literal["0", "5", "10"],
        BeforeValidator(str),
        setting(
            "Judge the trained model on crops too: 5 (centre, corners) or 10 (and mirrored); 0 is off.",
            "Recipe",
        ),
    ] = "0"


def parse_label(letters: str, count: int) -> Label:
    """The label that `letters` write, such as `nnynn`: one letter a value, one `y`, `m` for maybe, else `n`.

    Raises:
        ValueError: says what is wrong, as the end of a sentence.
    """
    if len(letters) != count:
        raise ValueError(f"has {len(letters)} letters for {count} values")
    unknown = sorted(set(letters) - set("nmy"))
    if unknown:
        raise ValueError(f"has the letter {unknown[0]!r}, and not only y, m and n")
    if letters.count("y") != 1:
        raise ValueError(f"has {letters.count('y') or 'no'} y, and should have one")
    return Label(letters.index("y"), tuple(place for place, letter in enumerate(letters) if letter == "m"))


def read_annotations(folder: Path, attribute: str) -> list[AnnotatedImage]:
    """The images of one attribute with their values, in the order of the table's rows.

    The table is `base/Annotations/label.csv`, as the competition packs it, or `label.csv` in `folder`. It has
    no header; a row is `Images/skirt_length_labels/NAME.jpg,skirt_length_labels,nnynn`. Rows of other
    attributes are passed over. `Images` lies beside `Annotations`, or in `folder` or `folder/base`.

    Args:
        folder: the data set.
        attribute: one of `VALUES`.

    Raises:
        DataError: the table is missing, has no row of the attribute, or a row is wrong: no such attribute or
            image, a malformed label, an image that is there twice; or an image has no row.
    """
    table = headerless_table(_table(folder), COLUMNS)
    return _Reader(table, _images(table.file, folder), attribute).read()


def _table(folder: Path) -> Path:
    found = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if found is None:
        raise DataError(f"{folder}: neither {TABLES[0]} nor {TABLES[2]} is there. The data set is at {PAGE}.")
    return found


def _images(table: Path, folder: Path) -> Path:
    """The folder `Images` that the rows of `table` mean."""
    if table.parent.name == "Annotations":
        return table.parent.parent / "Images"
    base = folder / "base" / "Images"
    return base if base.is_dir() else folder / "Images"


class _Reader:
    """Reads the rows of one attribute, and keeps what is known of the images so far."""

    def __init__(self, table: Table, images: Path, attribute: str) -> None:
        self.table, self.attribute, self.values = table, attribute, VALUES[attribute]
        self.place = f"{attribute}_labels"
        self.folder = images / self.place
        self._kept: list[AnnotatedImage] = []
        self._rows: dict[str, int] = {}  # the image's name: its row, kept or not
        self._skipped = skipped_names(self.folder)

    def read(self) -> list[AnnotatedImage]:
        """All rows of the attribute, and then the images without one."""
        images: ImageLookup | None = None
        named: set[str] = set()
        for number, row in self.table.rows():
            if len(row) != len(COLUMNS):
                self._refuse(number, "row values", f"{len(row)} values, and not 3: image, attribute, label.")
                continue
            name, attribute, letters = map(str.strip, row)
            named.add(attribute)
            if attribute == self.place:
                images = images or ImageLookup(self.folder)
                self._add(number, name, letters, images)
            elif attribute.removesuffix("_labels") not in VALUES or not attribute.endswith("_labels"):
                hint = nearest(attribute, [f"{known}_labels" for known in VALUES], limit=1)
                self._refuse(number, "unknown attribute", f"no attribute {shown(repr(attribute))}.{hint}")
        if images is not None:
            self._refuse_orphans(images)
        if not self._kept:
            message = f"all rows for {self.place} are refused or to be skipped."
            if self.place not in named:
                message = f"no row for {self.place}, only rows for {listing(sorted(map(shown, named)), 12)}."
            refuse("no rows", f"{self.table.file}: {message}")
        return self._kept

    def _add(self, number: int, name: str, letters: str, images: ImageLookup) -> None:
        start = f"Images/{self.place}/"
        plain = name.replace("\\", "/")
        found = images.find(plain.removeprefix(start)) if plain.startswith(start) else []
        if found and found[0] in self._skipped:
            return
        if len(found) != 1:
            what = "may mean several images" if found else "has no image"
            self._refuse(
                number,
                "missing image",
                f"{shown(name)} {what} in {self.folder}. Add the file or remove the row.",
            )
            return
        path = self.folder / found[0]
        if found[0] in self._rows:
            twice = f"{shown(name)} is already in row {self._rows[found[0]]}. Keep one of the two."
            self._refuse(number, "row twice", twice, path)
            return
        self._rows[found[0]] = number
        try:
            label = parse_label(letters, len(self.values))
        except ValueError as error:
            message = f"the label {shown(repr(letters))} {error}. Correct it or remove the row and its image."
            self._refuse(number, "malformed label", message, path)
            return
        maybe = tuple(self.values[place] for place in label.maybe)
        self._kept.append(AnnotatedImage(path, self.values[label.value], maybe))

    def _refuse(self, number: int, kind: str, message: str, file: Path | None = None) -> None:
        refuse(kind, f"{self.table.file}, row {number}: {message}", file)

    def _refuse_orphans(self, images: ImageLookup) -> None:
        orphans = [name for name in images.names if name not in self._rows and name not in self._skipped]
        refuse_orphans(orphans, self.folder, self.table.file)


def attribute_remark(dataset: Dataset) -> str:
    """Which attribute is told, and how many labels have a maybe."""
    attribute = str(getattr(dataset.settings, "attribute", ""))
    unsure, count = sum(bool(image.maybe) for image in dataset.items), len(dataset.items)
    told = f"attribute  {attribute}, {len(VALUES[attribute])} values"
    return f"{told}; {unsure:,} of {count:,} photos have a maybe"


def maybe_places(images: Sequence[AnnotatedImage], vocab: Sequence[str]) -> list[list[int]]:
    """For each image the places in `vocab` of the values that it may also have."""
    places = {value: place for place, value in enumerate(vocab)}
    return [[places[value] for value in image.maybe if value in places] for image in images]
