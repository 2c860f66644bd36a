"""Which files are archives that visionkit unpacks, by their names or else by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

_KINDS = {
    ".tar.7z": "tar.7z",
    ".tar7z": "tar.7z",
    ".tar.gz": "tar",
    ".tar.bz2": "tar",
    ".tar.xz": "tar",
    ".tgz": "tar",
    ".tbz2": "tar",
    ".tbz": "tar",
    ".txz": "tar",
    ".tar": "tar",
    ".zip": "zip",
    ".7z": "7z",
}
ARCHIVE_ENDINGS = tuple(_KINDS)
"""How the names of archives end, in lower case; the longer of two that fit stands first."""

_MAGIC = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"7z\xbc\xaf\x27\x1c": "7z"}
_COMPRESSIONS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def archive_kind(path: Path) -> str | None:
    """What `path` is unpacked as: "zip", "tar" (compressed or not), "7z", or "tar.7z" for a tar inside a 7z.

    The name decides. Only where it has none of `ARCHIVE_ENDINGS` is the file opened, if there is one; a gzip,
    bzip2 or xz file is an archive where it holds a tar.

    Returns:
        None for what is no archive, or none that visionkit unpacks, such as .rar and .tar.zst.
    """
    name = path.name.lower()
    named = next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), None)
    if named:
        return named
    try:
        with path.open("rb") as file:
            start = file.read(8)
            known = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
            file.seek(0)
            return known or ("tar" if _starts_as_tar(decompressed(file, start)) else None)
    except (OSError, EOFError, ValueError, lzma.LZMAError):  # no file, or no whole one
        return None


def decompressed(file: Any, start: bytes) -> Any:
    """What gives the content of `file`, which begins with `start`: `file` itself where it is not compressed.

    Args:
        file: anything with `read`; it stands at its beginning.
        start: its first bytes, 6 of them or more where it has so many.
    """
    return next((opened(file) for magic, opened in _COMPRESSIONS.items() if start.startswith(magic)), file)


def _starts_as_tar(stream: IO[bytes]) -> bool:
    """Whether the first block is the header of a tar's member, with the right checksum."""
    try:
        tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True
