"""Image tags from a CSV file with one row an image."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from visionkit.data.images import image_files
from visionkit.errors import DataError, listing


class TaggedImage(NamedTuple):
    """One row: the image's file and its tags."""

    path: Path
    tags: list[str]


def read_tags(csv: Path, folder: Path) -> list[TaggedImage]:
    """The images of `folder` with their tags from `csv`, in the order of its rows.

    The columns are `image_name` (the file name, with or without its ending) and `tags` (separated by spaces), as in
    Kaggle's planet competition.

    Raises:
        DataError: a column is missing, a row has no tags, is there twice or names no image, or an image has no row.
    """
    table = _read_table(csv)
    files = {path.stem: path for path in image_files(folder)}
    rows: list[TaggedImage] = []
    seen: dict[str, int] = {}
    for line, (name, tags) in enumerate(zip(table["image_name"], table["tags"]), start=2):
        stem = name if name in files else Path(name).stem
        if not name:
            raise DataError(f"{csv}, row {line}: no image name. Complete or remove the row.")
        if not tags.split():
            raise DataError(f"{csv}, row {line}: {name} has no tags. Complete or remove the row.")
        if stem not in files:
            raise DataError(f"{csv}, row {line}: {name} has no image in {folder}. Add the file or remove the row.")
        if stem in seen:
            raise DataError(f"{csv}, row {line}: {name} is already in row {seen[stem]}. Keep one of the two.")
        seen[stem] = line
        rows.append(TaggedImage(files[stem], tags.split()))
    orphans = [path.name for stem, path in files.items() if stem not in seen]
    if orphans:
        raise DataError(
            f"{csv}: no row for {len(orphans):,} of the images in {folder}: {listing(orphans)}. Add rows or move them away."
        )
    return rows


def _read_table(csv: Path) -> pd.DataFrame:
    if not csv.is_file():
        raise DataError(f"{csv}: there is no such file; it holds the images' tags.")
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{csv}: not a CSV file ({' '.join(str(error).split())}).") from error
    missing = [column for column in ("image_name", "tags") if column not in table.columns]
    if missing:
        raise DataError(
            f"{csv}: there is no column {' and no '.join(map(repr, missing))}; its columns are "
            f"{listing([repr(name) for name in table.columns])}."
        )
    if table.empty:
        raise DataError(f"{csv}: there are no rows below the header.")
    return table
