"""Rows of CSV files, as spreadsheets and scripts write them."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TextIO

from visionkit.errors import DataError, listing

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

_BYTE_ORDER_MARKS = (  # UTF-32's before UTF-16's, which begins in the same way
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_LINE = 2**24  # characters; a large file without line ends must not fill the memory
MOST_COLUMNS = 10_000
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n"])"?\s*', re.IGNORECASE)  # Excel's first line, "sep=;"


@dataclass(frozen=True)
class Table:
    """A CSV file whose header has been read.

    Args:
        file: the CSV file.
        columns: the header's names, without spaces around them.
        separator: the character between values.
        header: the number of the header's row.
        encoding: how the file is decoded.
    """

    file: Path
    columns: list[str]
    separator: str
    header: int
    encoding: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number and values of every row below the header that is not blank, one at a time.

        Numbers are those that a spreadsheet shows: blank rows count, a value with line ends in it is still
        one row, and Excel's line `sep=;` is none.

        Raises:
            DataError: from a place on, the file is no CSV file or not in its encoding.
        """
        for number, values in _records(self.file, self.encoding, self.separator):
            if number > self.header:
                yield number, values


class _Malformed(DataError):
    """A row that cannot be divided into values, with this separator at least."""


def open_table(file: Path, columns: tuple[str, ...], separator: str | None = None) -> Table:
    """The table in `file`, by its header: the first row that is not blank, with these `columns` and others.

    It is in UTF-8, or in UTF-16 with a byte order mark. Values are separated by commas, semicolons or tabs,
    whichever the header's columns are found with, or by what Excel's first line `sep=;` says; or by
    `separator`, where it is given.

    Raises:
        DataError: there is no such file, it is no CSV file or in another encoding, or its header lacks one of
            `columns` or has it twice.
    """
    if not os.path.isfile(file):  # unlike Path.is_file, raises nothing where the folder may not be read
        raise DataError(f"{file}: there is no such file; it holds the images' tags.")
    encoding = _encoding(file)
    announced = separator or _announced_separator(file, encoding)
    found: list[Table] = []
    faults: list[DataError] = []
    for separator in [announced] if announced else SEPARATORS:
        try:
            with closing(_records(file, encoding, separator)) as records:
                header = next(records, None)
        except _Malformed as error:
            faults.append(error)
            continue
        if header is None:
            raise DataError(f"{file}: not a CSV file (it is empty).")
        number, names = header
        if len(names) > MOST_COLUMNS:
            faults.append(
                _Malformed(
                    f"{file}, row {number}: {len(names):,} columns; at most {MOST_COLUMNS:,} are read."
                )
            )
            continue
        found.append(Table(file, [name.strip() for name in names], separator, number, encoding))
    if not found:
        raise faults[0]
    table = max(found, key=lambda table: (len({*columns} & {*table.columns}), len(table.columns)))
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(_missing(table, missing, [table.separator for table in found]))
    for column in columns:
        if table.columns.count(column) > 1:
            count = table.columns.count(column)
            raise DataError(f"{file}: there are {count} columns {column!r}. Keep one of them.")
    return table


def headerless_table(file: Path, columns: tuple[str, ...]) -> Table:
    """The table in `file`, which has no header: all its rows have the values of `columns`, in this order.

    Encodings and separators are those of `open_table`; the separator is the one that divides the first row
    into as many values as there are columns, a comma where none does.

    Raises:
        DataError: there is no such file, it is empty, no CSV file, or in another encoding.
    """
    if not os.path.isfile(file):
        raise DataError(f"{file}: there is no such file; it holds the images' labels.")
    encoding = _encoding(file)
    announced = _announced_separator(file, encoding)
    tried = [announced] if announced else list(SEPARATORS)
    for separator in tried:
        try:
            with closing(_records(file, encoding, separator)) as records:
                first = next(records, None)
        except _Malformed:
            continue  # with another separator; if it is none of them, reading the rows tells
        if first is None:
            raise DataError(f"{file}: not a CSV file (it is empty).")
        if len(first[1]) == len(columns):
            return Table(file, list(columns), separator, 0, encoding)
    return Table(file, list(columns), tried[0], 0, encoding)


def separator_name(separator: str) -> str:
    """What a message calls it."""
    return SEPARATORS.get(separator, repr(separator))


def shown(value: str) -> str:
    """`value` as a message shows it: on one line, and not longer than one."""
    text = value if value.isprintable() else repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _missing(table: Table, missing: list[str], tried: list[str]) -> str:
    columns = listing([shown(repr(column)) for column in table.columns])
    message = (
        f"{table.file}: there is no column {' and no '.join(map(repr, missing))}; its columns are {columns} "
        f"(separators tried: {', '.join(map(separator_name, tried))})."
    )
    for column in missing:
        others = {name.casefold(): name for name in table.columns if len(name) <= 100}
        for near in get_close_matches(column, list(others), n=1, cutoff=0.6):
            message += f" Rename {others[near]!r} to {column!r}, if that is meant."
    return message


def _encoding(file: Path) -> str:
    """The encoding that the byte order mark tells; UTF-8 where there is none."""
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
    except OSError as error:
        raise DataError(f"{file}: the file cannot be read ({error.strerror or error}).") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")
    if encoding == "utf-32":
        raise DataError(f"{file}: not a CSV file in UTF-8 (it is in UTF-32). Save it in that encoding.")
    return encoding


def _announced_separator(file: Path, encoding: str) -> str | None:
    """The separator that Excel's first line names, where there is such a line."""
    try:
        with file.open(encoding=encoding, newline="", errors="replace") as opened:
            line = opened.readline(20)
    except OSError as error:
        raise DataError(f"{file}: the file cannot be read ({error.strerror or error}).") from error
    match = _SEPARATOR_LINE.fullmatch(line)
    return match[1] if match else None


def _records(file: Path, encoding: str, separator: str) -> Generator[tuple[int, list[str]], None, None]:
    """The rows that are not blank, with their numbers; the header is the first.

    Python's reader rather than pandas': that one makes an index of the first column where rows have a value
    too many, and fills those that have one too few.
    """
    number = 0
    try:
        with file.open(encoding=encoding, newline="") as opened:
            reader = csv.reader(_lines(opened), delimiter=separator, strict=True)
            for number, values in enumerate(reader, start=1):
                if any(map(str.strip, values)):
                    yield number, values
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        # Without its position, which counts from where the file was last read.
        raise DataError(
            f"{file}: not a CSV file in {name} ({error.reason}: {error.object[error.start : error.end]!r}). "
            "Save it in that encoding."
        ) from error
    except UnicodeError as error:
        raise DataError(f"{file}: not a CSV file in UTF-8 ({error}). Save it in that encoding.") from error
    except csv.Error as error:
        raise _Malformed(f"{file}, row {number + 1}: not a CSV file ({_reason(error)}).") from error
    except OSError as error:
        raise DataError(f"{file}: the file cannot be read ({error.strerror or error}).") from error


def _lines(opened: TextIO) -> Iterator[str]:
    """The lines of the file, without Excel's first one that names the separator."""
    first = opened.readline(_LONGEST_LINE + 1)
    rest = iter(lambda: opened.readline(_LONGEST_LINE + 1), "")
    for line in rest if _SEPARATOR_LINE.fullmatch(first) else chain([first], rest):
        if "\0" in line:
            raise csv.Error("it holds NUL bytes; save it in UTF-8 if it is in UTF-16 without byte order mark")
        if len(line) > _LONGEST_LINE:
            raise csv.Error(f"a line of more than {_LONGEST_LINE:,} characters")
        yield line


def _reason(error: csv.Error) -> str:
    """What the CSV reader complains of, in words that say what to look for."""
    text = str(error)
    if text == "unexpected end of data":
        return "a quote is opened and not closed"
    if "field limit" in text:
        return f"a value of more than {csv.field_size_limit():,} characters; is a quote not closed?"
    if text.endswith("expected after '\"'"):
        return "text after a closing quote; write quotes inside quotes twice"
    return text
