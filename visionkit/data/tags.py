"""Image tags from a CSV file with one row an image."""

from __future__ import annotations

import csv as csv_format
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from visionkit.data.images import image_files
from visionkit.errors import DataError, listing


class TaggedImage(NamedTuple):
    """One row: the image's file and its tags."""

    path: Path
    tags: list[str]


def read_tags(csv: Path, folder: Path) -> list[TaggedImage]:
    """The images of `folder` with their tags from `csv`, in the order of its rows.

    The columns are `image_name` (the file name, with or without its ending) and `tags` (separated by spaces),
    as in Kaggle's planet competition; other columns are passed over, and so are blank lines.

    Raises:
        DataError: a column is missing, a row has no tags, is there twice or names no image, or an image has
            no row.
    """
    table = list(_rows(csv))
    if not table:
        raise DataError(f"{csv}: there are no rows below the header.")
    images = image_files(folder)
    by_file = {path.name: path for path in images}
    by_stem: dict[str, list[Path]] = {}
    for path in images:
        by_stem.setdefault(path.stem, []).append(path)
    rows: list[TaggedImage] = []
    seen: dict[Path, int] = {}
    for line, name, tags in table:
        if not name:
            raise DataError(f"{csv}, row {line}: no image name. Complete or remove the row.")
        if not tags:
            raise DataError(f"{csv}, row {line}: {name} has no tags. Complete or remove the row.")
        found = [by_file[name]] if name in by_file else by_stem.get(name, [])
        if not found:
            raise DataError(
                f"{csv}, row {line}: {name} has no image in {folder}. Add the file or remove the row."
            )
        if len(found) > 1:
            meant = listing([path.name for path in found])
            raise DataError(
                f"{csv}, row {line}: {name} may mean any of {meant} in {folder}. Write the whole file name."
            )
        path = found[0]
        if path in seen:
            raise DataError(f"{csv}, row {line}: {name} is already in row {seen[path]}. Keep one of the two.")
        seen[path] = line
        rows.append(TaggedImage(path, tags))
    orphans = [path.name for path in images if path not in seen]
    if orphans:
        raise DataError(
            f"{csv}: no row for {len(orphans):,} of the images in {folder}: {listing(orphans)}. "
            "Add rows or move them away."
        )
    return rows


def _rows(csv: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The number, image name and tags of every row below the header, which is row 1.

    Python's reader rather than pandas': that one makes an index of the first column where rows have a value
    too many, and fills those that have one too few.
    """
    records = _records(csv)
    header = next(records, None)
    if header is None:
        raise DataError(f"{csv}: not a CSV file (it is empty).")
    columns = header[1]
    missing = [column for column in ("image_name", "tags") if column not in columns]
    if missing:
        raise DataError(
            f"{csv}: there is no column {' and no '.join(map(repr, missing))}; its columns are "
            f"{listing(list(map(repr, columns)))}."
        )
    for column in ("image_name", "tags"):
        if columns.count(column) > 1:
            raise DataError(f"{csv}: there are {columns.count(column)} columns {column!r}. Keep one of them.")
    name, tags = columns.index("image_name"), columns.index("tags")
    for line, values in records:
        if len(values) != len(columns):
            raise DataError(
                f"{csv}, row {line}: {len(values)} values for {len(columns)} columns. "
                "Separate tags by spaces, and put quotes around a name with a comma."
            )
        yield line, values[name], list(dict.fromkeys(values[tags].split()))


def _records(csv: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with their numbers."""
    if not csv.is_file():
        raise DataError(f"{csv}: there is no such file; it holds the images' tags.")
    line = 0
    try:
        with csv.open(encoding="utf-8-sig", newline="") as file:
            for line, values in enumerate(csv_format.reader(file, strict=True), start=1):
                if values:
                    yield line, values
    except UnicodeDecodeError as error:
        raise DataError(f"{csv}: not a CSV file in UTF-8 ({error}). Save it in that encoding.") from error
    except (csv_format.Error, OSError) as error:
        raise DataError(f"{csv}, row {line + 1}: not a CSV file ({error}).") from error
