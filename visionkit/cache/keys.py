"""What tells one cache from another: the files, and all that is done to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import PIL

from visionkit.errors import DataError

VERSION = f"1, Pillow {PIL.__version__}, fastai {version('fastai')}, {sys.byteorder}"
"""Its first number goes up when images are kept in another way: what was kept before is not used then."""


def cache_key(kind: str, treatment: str, files: Iterable[Path]) -> str:
    """The name of the cache of `files`, 24 hexadecimal digits; a changed file gives another name.

    Args:
        kind: such as "training".
        treatment: all that decides what is kept of each file.
        files: in their order; told apart by path, size in bytes and time of modification.

    Raises:
        DataError: a file is not there.
    """
    digest = sha256(f"{VERSION}\0{kind}\0{treatment}\0".encode())
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: the file cannot be read any more ({error.strerror}).") from error
        digest.update(os.fsencode(os.path.abspath(file)))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]
