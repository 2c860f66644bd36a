"""The list of files that a user wants left out: written by `visionkit check`, read by a training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from visionkit.atomic import write_atomically
from visionkit.data.splits import relative_name
from visionkit.data.text_files import read_text
from visionkit.disk_faults import cannot_write
from visionkit.errors import DataError, UsageError

SKIP_FILE = "skip.txt"


def read_skip_list(file: Path, folder: Path) -> frozenset[Path]:
    """The files that the text file `file` names, one a line, by their paths from the data set's `folder`.

    A file that is no longer there may be named all the same: its rows are left out.

    Raises:
        UsageError: there is no such list.
        DataError: it is not text in UTF-8.
    """
    file = file.expanduser()
    missing = UsageError(f"--skip {file}: there is no such file. visionkit check --exclude writes one.")
    if not file.is_file():
        raise missing
    try:
        lines = read_text(file).split("\n")  # not splitlines: names may hold odd breaks
    except FileNotFoundError:
        raise missing from None
    return frozenset(folder / line for line in lines if line.strip())


def write_skip_list(file: Path, files: Iterable[Path], folder: Path) -> None:
    """Write `files` to the text file `file`, one a line, by their paths from `folder`.

    Raises:
        DataError: a name has a line break in it.
        VisionkitError: the file cannot be written.
    """
    names = sorted({relative_name(path, folder) for path in files})
    broken = [name for name in names if "\n" in name or "\r" in name]
    if broken:
        raise DataError(f"{broken[0]!r}: a name with a line break cannot be listed. Rename the file.")
    try:
        write_atomically(file, "".join(f"{name}\n" for name in names))
    except OSError as error:
        raise cannot_write(file, error) from error
