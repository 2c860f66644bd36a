"""Images with their labels from a user's CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visionkit.data.delimiters import divided
from visionkit.data.images import skipped_names
from visionkit.data.label_columns import (
    FLAGS,
    PARTS,
    Columns,
    describe_columns,
    find_columns,
)
from visionkit.data.lookup import ImageLookup, fault_of_match, leads_outside
from visionkit.data.own_split import Splitter, drawn, who_validates
from visionkit.data.problems import refuse, skipping
from visionkit.data.splits import Splits
from visionkit.data.table_settings import TableSettings
from visionkit.data.tables import separator_name, shown
from visionkit.errors import DataError, listing

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.recipe import TaskName


class LabelledImage(NamedTuple):
    """One row: the image's file, its label or its labels, and train or valid where a column tells."""

    path: Path
    label: str | list[str]
    part: str


class LabelTable(NamedTuple):
    """The rows of a table, and how many images of its folder have none: those are left out.

    `test` are the rows of test images that take no part.
    """

    rows: list[LabelledImage]
    columns: Columns
    without_row: int
    test: list[LabelledImage]

    @property
    def left_out(self) -> int:
        """How many rows take no part."""
        return len(self.test)

    @property
    def vocab(self) -> list[str]:
        """All labels; of columns of 0 and 1, in the order of the columns."""
        if len(self.columns.labels) > 1:
            return list(self.columns.labels)
        labels = (row.label if isinstance(row.label, list) else [row.label] for row in self.rows)
        return sorted({label for each in labels for label in each})

    def splitter(self, settings: TableSettings) -> Splitter:
        """Fastai's splitter of the rows: those that say so validate, or drawn ones."""
        return validation_rows if self.columns.part else drawn(settings)


def read_label_table(root: Path, settings: TableSettings) -> LabelTable:
    """The images that the table in `root` names, with their labels, in the order of its rows.

    Rows of test images are left out where there are others for validation; otherwise those validate.

    Raises:
        UsageError: an option names what is not there.
        DataError: what the columns are cannot be told, or a row has no label, is there twice or names no
            image.
    """
    columns = find_columns(root, settings)
    return _Reader(columns).read()


def task_of_table(root: Path, settings: TableSettings) -> TaskName:
    """By what the labels in the table look like: many an image, or one."""
    return "multi-label" if find_columns(root, settings).many else "single-label"


def test_rows(root: Path, settings: TableSettings) -> list[tuple[Path, str | list[str]]]:
    """The images of the rows that say so are test images, each with its label or labels."""
    return [(row.path, row.label) for row in read_label_table(root, settings).test]


def validation_rows(rows: list[LabelledImage]) -> Splits:
    """A fastai splitter: the rows that say so validate."""
    valid = [index for index, row in enumerate(rows) if row.part == "valid"]
    return [index for index, row in enumerate(rows) if row.part != "valid"], valid


def describe_table(dataset: Dataset) -> str:
    """What was found, in a line, and a second one where images are left out."""
    assert isinstance(dataset.settings, TableSettings)
    with skipping(dataset.skipped):
        table = read_label_table(dataset.path, dataset.settings)
    told = f"validation by {table.columns.part!r}" if table.columns.part else ""
    found = describe_columns(table.columns, dataset.path)
    lines = [f"{found}; {who_validates(dataset.settings, told)}"]
    left_out = [
        f"{count:,} {one if count == 1 else many}"
        for count, one, many in (
            (table.without_row, "image without a row", "images without a row"),
            (len(table.test), "row of a test image", "rows of test images"),
        )
        if count
    ]
    if left_out:
        lines.append(f"left out   {' and '.join(left_out)}")
    return "\n".join(lines)


class _Reader:
    """Reads a table row by row, and keeps what is known of the images so far."""

    def __init__(self, columns: Columns) -> None:
        self.columns, self.folder = columns, columns.folder
        self._image = columns.place(columns.image)
        self._labels = [columns.place(label) for label in columns.labels]
        self._part = columns.place(columns.part) if columns.part else None
        self._kept: list[LabelledImage] = []
        self._seen: dict[str, int] = {}  # the image's name: its row

    def read(self) -> LabelTable:
        table = self.columns.table
        images = ImageLookup(self.folder)
        skipped = skipped_names(self.folder)
        if not self.columns.named and images.find(self.columns.image):
            raise DataError(
                f"{table.file}: its first row is taken for the header, but names an image, "
                f"{shown(self.columns.image)!r}. Put a row of column names above it, such as image,label."
            )
        for number, values in table.rows():
            name = images.inside(values[self._image]) if self._image < len(values) else ""
            found = images.find(name)
            if skipped and found:
                found = [image for image in found if image not in skipped]
                if not found:
                    continue
            self._add(number, name.strip(), values, found)
        without_row = sum(name not in self._seen and name not in skipped for name in images.names)
        if not self._kept:
            refuse("no rows", f"{table.file}: no row is left; all are refused or skipped.")
        parts = [row.part for row in self._kept]
        test: list[LabelledImage] = []
        if "test" in parts and "valid" not in parts:
            kept = [row._replace(part="valid" if row.part == "test" else row.part) for row in self._kept]
        else:
            kept = [row for row in self._kept if row.part != "test"]
            test = [row for row in self._kept if row.part == "test"]
        return LabelTable(kept, self.columns, without_row, test)

    def _add(self, number: int, name: str, values: list[str], found: list[str]) -> None:
        """Keep the row, whose name means the images `found`, or refuse it."""
        fault = self._fault(name, values, found)
        if fault is None and found[0] in self._seen:
            fault = (
                "row twice",
                (f"{shown(name)} is already in row {self._seen[found[0]]}. Keep one, with all labels."),
            )
        if fault is not None:
            kind, message = fault
            file = self.folder / found[0] if len(found) == 1 else None
            if file is None and name and not leads_outside(name):
                file = self.folder / name
            if len(found) == 1:
                self._seen.setdefault(found[0], number)
            refuse(kind, f"{self.columns.table.file}, row {number}: {message}", file)
            return
        self._seen[found[0]] = number
        label = self._label(values)
        if isinstance(label, list) and not self.columns.many:
            label = label[0]
        self._kept.append(LabelledImage(self.folder / found[0], label, self._part_of(values) or "train"))

    def _fault(self, name: str, values: list[str], found: list[str]) -> tuple[str, str] | None:
        """The kind of what is wrong with a row by itself, and what to do; None where all is well."""
        table = self.columns.table
        if len(values) != len(table.columns):
            separator = separator_name(table.separator)
            return "row values", (
                f"{len(values)} values for {len(table.columns)} columns. Put quotes around a value with a "
                f"{separator}."
            )
        if not name:
            return "no name", "no image name. Complete or remove the row."
        return fault_of_match(name, found, self.folder) or self._fault_of_labels(name, values)

    def _fault_of_labels(self, name: str, values: list[str]) -> tuple[str, str] | None:
        for place in self._labels if len(self._labels) > 1 else ():
            if values[place].strip().casefold() not in FLAGS:
                column = self.columns.table.columns[place]
                return "odd value", f"{shown(values[place])!r} in the column {column!r}, which holds 0 and 1."
        label = self._label(values)
        if not label and not (self.columns.many and len(self._labels) > 1):
            return "no label", f"{shown(name)} has no label. Complete or remove the row."
        if isinstance(label, list) and not self.columns.many and len(label) > 1:
            return "several labels", (
                f"{shown(name)} has several labels, {listing(label)}. Keep one, or take --labels many."
            )
        if self._part_of(values) is None:
            part = values[self._part or 0]
            return "odd part", (
                f"{shown(part)!r} in the column {self.columns.part!r} is neither train nor valid nor test, 0 "
                "nor 1."
            )
        return None

    def _label(self, values: list[str]) -> str | list[str]:
        if len(self._labels) > 1:
            columns = zip(self.columns.labels, self._labels)
            return [column for column, place in columns if FLAGS.get(values[place].strip().casefold())]
        text = values[self._labels[0]].strip()
        return text if self.columns.delimiter is None else divided(text, self.columns.delimiter)

    def _part_of(self, values: list[str]) -> str | None:
        """Train, valid or test; None for another value."""
        return "train" if self._part is None else PARTS.get(values[self._part].strip().casefold())
