"""CSV that reads back as it was written, whatever stands in a cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def csv_row(values: Sequence[Any]) -> str:
    r"""One row with `\n` at its end; cells with line ends of any kind are in quotes.

    Python's writer before 3.13 puts only those of its own kind into quotes, and a lone `\r` would end a row.
    What is no text, such as a byte of a file's name, is written out. Cells that begin with `=`, `+`, `-` or
    `@` stay as they are: programs match them, and a mark before them would be wrong for all of these.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    row = text.getvalue().removesuffix("\r\n") + "\n"
    return row.encode("utf-8", "backslashreplace").decode()


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """A table as text."""
    return "".join(map(csv_row, rows))
