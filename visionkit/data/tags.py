"""Image tags from a CSV file with one row an image."""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from visionkit.data.images import skipped_names
from visionkit.data.lookup import ImageLookup, fault_of_match, leads_outside, refuse_orphans
from visionkit.data.problems import refuse
from visionkit.data.tables import Table, open_table, separator_name, shown
from visionkit.errors import DataError


class TaggedImage(NamedTuple):
    """One row: the image's file and its tags."""

    path: Path
    tags: list[str]


def read_tags(csv: Path, folder: Path) -> list[TaggedImage]:
    """The images of `folder` with their tags from `csv`, in the order of its rows.

    The columns are `image_name` (the file name, with or without its ending) and `tags` (separated by spaces),
    as in Kaggle's planet competition; other columns are passed over, and so are blank rows. What `csv` may
    look like is said at `open_table`. Where a row names an image in a sub-folder (`night/a.jpg`), the images
    in all sub-folders count.

    Rows with the same tags share one list, so that a million of them fit in memory: copy before changing one.
    Images that the user skips are left out with their rows.

    Raises:
        DataError: a column is missing, a row has no tags, is there twice or names no image, or an image has
            no row.
    """
    return _Reader(open_table(csv, ("image_name", "tags")), folder).read()


class _Reader:
    """Reads a table row by row, and keeps what is known of the images so far."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.table, self.folder = table, folder
        self._name, self._tags = table.columns.index("image_name"), table.columns.index("tags")
        self._split = lru_cache(maxsize=2**16)(_split)  # of this reader: the caller gets the lists
        self._skipped = skipped_names(folder)
        self._kept: list[TaggedImage] = []
        self._seen: dict[str, int] = {}  # the image's name: its row
        self._refused: set[str] = set()  # images of refused rows, which are no orphans

    def read(self) -> list[TaggedImage]:
        """All rows, and then the images without one."""
        rows = self.table.rows()
        first = next(rows, None)
        if first is None:
            raise DataError(f"{self.table.file}: there are no rows below the header.")
        images = ImageLookup(self.folder)
        for number, values in chain([first], rows):
            name = values[self._name] if self._name < len(values) else ""
            self._add(number, name, values, images.find(name))
        self._refuse_orphans(images)
        if not self._kept:
            message = "no row is left; all are refused or in the list of those to skip."
            refuse("no rows", f"{self.table.file}: {message}")
        return self._kept

    def _add(self, number: int, name: str, values: list[str], found: list[str]) -> None:
        """Keep the row, whose name means the images `found`, or refuse it."""
        if self._skipped and found:
            found = [image for image in found if image not in self._skipped]
            if not found:
                return
        fault = self._fault(name, values, found)
        if fault:
            kind, message = fault
            self._refused.update(found)
            self._refuse(number, kind, message, self._concerned(name, found))
            return
        image = found[0]
        if image in self._seen:
            message = f"{shown(name)} is already in row {self._seen[image]}. Keep one of the two."
            self._refuse(number, "row twice", message, self.folder / image)
            return
        self._seen[image] = number
        self._kept.append(TaggedImage(self.folder / image, self._split(values[self._tags])))

    def _fault(self, name: str, values: list[str], found: list[str]) -> tuple[str, str] | None:
        """The kind of what is wrong with a row by itself, and what to do; None where all is well."""
        width, separator = len(self.table.columns), self.table.separator
        if len(values) != width:
            return "row values", (
                f"{len(values)} values for {width} columns. Separate tags by spaces, and put quotes around a "
                f"name with a {separator_name(separator)}."
            )
        if not name.strip() and not found:
            return "no name", "no image name. Complete or remove the row."
        tags = values[self._tags]
        if not self._split(tags):
            return "no tags", f"{shown(name)} has no tags. Complete or remove the row."
        if tags[0].isspace() and tags.lstrip()[0] == '"':  # a quote there quotes nothing
            return "row values", "a space stands before the quote of the tags. Remove it."
        return fault_of_match(name, found, self.folder)

    def _refuse(self, number: int, kind: str, message: str, file: Path | None) -> None:
        refuse(kind, f"{self.table.file}, row {number}: {message}", file)

    def _concerned(self, name: str, found: list[str]) -> Path | None:
        """The image that a refused row is about; where the name would be, if it is missing or ambiguous."""
        if len(found) == 1:
            return self.folder / found[0]
        return self.folder / name if name.strip() and not leads_outside(name) else None

    def _refuse_orphans(self, images: ImageLookup) -> None:
        known = (self._seen, self._refused, self._skipped)
        orphans = [image for image in images.names if not any(image in names for names in known)]
        refuse_orphans(orphans, self.folder, self.table.file)


def _split(tags: str) -> list[str]:
    """The tags, each once; equal tags of all rows are one object."""
    return list(dict.fromkeys(map(sys.intern, tags.split())))
