"""Class maps: CSV files that tell which colour of a mask means what, such as CamVid's class_dict.csv."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from visionkit.data.mask_reader import colour_name
from visionkit.data.masks import MOST_CODES
from visionkit.data.tables import Table, open_table, shown
from visionkit.errors import DataError, listing

_COLOURS = (("r", "red"), ("g", "green"), ("b", "blue"))
_NAMES = ("name", "class", "class_name", "label", "category")


class ClassMap(NamedTuple):
    """The classes in the order of their rows, and for each colour (0xRRGGBB) the place of its class."""

    names: list[str]
    colours: dict[int, int]


def read_class_map(file: Path) -> ClassMap:
    """The class map in `file`: a row a colour, with the columns name, r, g and b; others are passed over.

    Rows with the same name are colours of one class.

    Raises:
        DataError: a column is missing, a row has no name or no colour, or a colour is there twice.
    """
    table = open_table(file, ())
    places = _places(table)
    if places is None:
        raise DataError(
            f"{file}: not a class map; its columns would be name, r, g and b, and they are "
            f"{listing([shown(repr(column)) for column in table.columns], 12)}."
        )
    names: dict[str, int] = {}
    colours: dict[int, int] = {}
    for number, values in table.rows():
        if len(values) != len(table.columns):
            raise DataError(
                f"{file}, row {number}: {len(values)} values for {len(table.columns)} columns. Correct it."
            )
        name, *channels = (values[place].strip() for place in places)
        if not name:
            raise DataError(f"{file}, row {number}: no name. Complete or remove the row.")
        colour = _colour(channels)
        if colour is None:
            raise DataError(
                f"{file}, row {number}: {shown(', '.join(channels))} is no colour; r, g and b are whole "
                "numbers from 0 to 255."
            )
        place = names.setdefault(name, len(names))
        if colours.setdefault(colour, place) != place:
            other = list(names)[colours[colour]]
            raise DataError(
                f"{file}, row {number}: the colour {colour_name(colour)} of {shown(repr(name))} is also "
                f"{shown(repr(other))}'s."
            )
    if len(names) > MOST_CODES:
        raise DataError(f"{file}: {len(names):,} classes found; masks can tell {MOST_CODES} apart.")
    if len(names) < 2:
        raise DataError(f"{file}: {len(names)} class(es) found; a segmentation needs at least two.")
    return ClassMap(list(names), colours)


def is_class_map(file: Path) -> bool:
    """Whether `file` is a CSV file with the columns of a class map."""
    try:
        return _places(open_table(file, ())) is not None
    except DataError:
        return False


def parse_colour(text: str) -> int | None:
    """The colour that text such as "#80ff00" names, as 0xRRGGBB; None where it names none."""
    return int(text[1:], 16) if re.fullmatch("#[0-9a-fA-F]{6}", text) else None


def _places(table: Table) -> tuple[int, ...] | None:
    """Where the columns of name, red, green and blue are."""
    columns = [column.casefold() for column in table.columns]
    places = [
        next((columns.index(name) for name in names if name in columns), None)
        for names in (_NAMES, *_COLOURS)
    ]
    found = tuple(place for place in places if place is not None)
    return found if len(found) == len(places) else None


def _colour(channels: list[str]) -> int | None:
    try:
        red, green, blue = map(int, channels)
    except ValueError:
        return None
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        return None
    return red << 16 | green << 8 | blue
