"""Small text files from anywhere, read whole: none is larger than it may be, and each is in UTF-8."""

from __future__ import annotations

from pathlib import Path

from visionkit.errors import DataError
from visionkit.progress import quantity

MOST_BYTES = 256_000_000
"""Of a list of files."""
FEW_BYTES = 1_000_000
"""Of a file of some lines."""


def read_text(file: Path, most: int = MOST_BYTES) -> str:
    """The text of `file`, without a byte order mark.

    Raises:
        FileNotFoundError: there is none.
        DataError: it cannot be read, is larger than `most` bytes, or not in UTF-8.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: the file cannot be read ({why}).") from error
    if len(content) > most:
        raise DataError(
            f"{file}: larger than {quantity(most, 'bytes')}, the most that is read of such a file."
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not a text file in UTF-8 ({error.reason}).") from error
