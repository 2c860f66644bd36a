"""A competition's sample submission: which rows the answers must have, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from visionkit.data.tables import open_table, shown
from visionkit.errors import DataError, listing


class Rows(NamedTuple):
    """The rows of a submission, and the image of each.

    Args:
        names: what the rows are called.
        images: their images, in the same order.
        left_out: images that no row asks about.
    """

    names: list[str]
    images: list[Path]
    left_out: list[Path]


def sample_rows(file: Path, header: Sequence[str], images: dict[str, Path], remedy: str) -> Rows:
    """The rows of the sample submission `file`, in its order, each with its image.

    Args:
        file: the sample submission.
        header: the columns that it must have, in this order; the first names the images.
        images: the image of each row by the row's name.
        remedy: what to do where images are missing.

    Raises:
        DataError: its columns are others, it has no rows or one twice, or there is no image for a row.
    """
    table = open_table(file, tuple(header))
    if table.columns != list(header):
        raise DataError(
            f"{file}: has the columns {listing(list(map(shown, table.columns)))}, and the answers are "
            f"{', '.join(header)}. Put the competition's own file there, or move this one away."
        )
    names: list[str] = []
    seen: dict[str, int] = {}
    lacking: list[tuple[int, str]] = []
    for number, values in table.rows():
        name = values[0].strip()
        if name in seen:
            raise DataError(f"{file}, row {number}: {shown(repr(name))} is already in row {seen[name]}.")
        seen[name] = number
        names.append(name)
        if name not in images:
            lacking.append((number, name))
    if not names:
        raise DataError(f"{file}: there are no rows below the header.")
    if lacking:
        number, name = lacking[0]
        more = f", nor for {len(lacking) - 1:,} more of its {len(names):,} rows" if len(lacking) > 1 else ""
        raise DataError(
            f"{file}, row {number}: there is no test image for {shown(repr(name))}{more}. {remedy}"
        )
    left_out = [image for name, image in images.items() if name not in seen]
    return Rows(names, [images[name] for name in names], left_out)


def by_row(images: Sequence[Path], row: Callable[[Path], str]) -> dict[str, Path]:
    """The images by the names of their rows, in their order.

    Raises:
        DataError: two of them are called the same.
    """
    named: dict[str, Path] = {}
    for image in images:
        other = named.setdefault(row(image), image)
        if other != image:
            raise DataError(f"{image}: would be called {row(image)!r}, as {other} is. Keep one of the two.")
    return named
