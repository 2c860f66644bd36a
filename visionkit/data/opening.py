"""Opening image files that come from anywhere: none may run a program, take for ever or fill the memory."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock, RLock
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF"),
    *("AVIF", "JPEG2000", "ICO", "PPM", "QOI", "TGA"),
)
"""What is read, by Pillow's names; JPEG includes MPO. Of its other formats, some run programs, or open
further formats inside."""
LARGE = 1 << 25
"""Pixels above which images are decoded one after the other, lest all threads have such a one at once."""
MOST_PIXELS = {"WEBP": 100_000_000, "AVIF": 100_000_000, "JPEG2000": 60_000_000}
"""Of formats whose decoders take several times the memory of the picture; of others, Pillow's limit."""
MOST_READS = 1_000_000
"""How many parts of a file Pillow may ask for; each takes it some microseconds."""
MOST_SCANNED = 4_000_000_000
"""Pixels times scans of a JPEG; decoding so many takes some seconds."""
MOST_COEFFICIENTS = 540_000_000
"""Of a JPEG that is sent in several scans: all are in memory, with two bytes each, beside the picture."""
SHORTEST_SCAN = 8
"""Bytes of the shortest scan's header."""

_PROGRAMS = {b"%!PS": "EPS", b"\xc5\xd0\xd3\xc6": "EPS"}
"""How files begin that Pillow would have another program run."""
_TILE_TAGS = (322, 323)
_SCAN = b"\xff\xda"
_large_ones = RLock()
_loading = Lock()


class ProgramError(UnidentifiedImageError):
    """The file is a program that draws a picture."""


class TooCostlyError(Image.DecompressionBombError):
    """Decoding it would take too long, or too much memory."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image in the file at `path`, not decoded yet, whatever its ending says; to be decoded in here.

    Pillow raises nearly anything on hostile content, here and while it decodes.

    Raises:
        OSError: the file cannot be read, or is no regular file.
        ProgramError: it is a program.
        TooCostlyError: decoding it would take too long, or too much memory.
    """
    if (content := getattr(path, "content", None)) is not None:  # it lies in a shard
        with opened_bytes(content()) as image:
            yield image
        return
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would block for ever
        raise OSError("this is no regular file")
    with _CountedFile(path) as file, _image_in(file) as image:
        yield image


@contextmanager
def opened_bytes(content: bytes) -> Iterator[Image.Image]:
    """As `opened`, for a file's content."""
    with _CountedBytes(content) as file, _image_in(file) as image:
        yield image


@contextmanager
def _image_in(file: BinaryIO | io.BufferedReader) -> Iterator[Image.Image]:
    program = _PROGRAMS.get(file.read(4))
    file.seek(0)
    if program is not None:
        raise ProgramError(f"{program} files are programs; convert it to PNG")
    with Image.open(file, formats=_formats()) as image:
        _refuse_costly(image, file)
        if image.width * image.height <= LARGE:
            yield image
            return
        with _large_ones:
            yield image


def _formats() -> tuple[str, ...]:
    with _loading:  # Pillow loads its decoders at first need, and two threads at once may miss some
        return _loaded_formats()


@cache
def _loaded_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _refuse_costly(image: Image.Image, file: BinaryIO | io.BufferedReader) -> None:
    pixels = image.width * image.height
    kind = image.format or ""
    if pixels > MOST_PIXELS.get(kind, pixels):
        raise TooCostlyError(f"it has more pixels than the {MOST_PIXELS[kind]:,} that are read of {kind}")
    if kind == "TIFF":
        across, down = (_whole(getattr(image, "tag_v2", {}).get(tag)) for tag in _TILE_TAGS)
        if across * down > max(LARGE, 2 * pixels):
            raise TooCostlyError(f"its tiles of {across}x{down} pixels are larger than the image")
    if kind in ("JPEG", "MPO"):
        if pixels * len(image.getbands()) > MOST_COEFFICIENTS:
            raise TooCostlyError(f"it has too many pixels for a JPEG file in {image.mode}")
        if _length(file) // SHORTEST_SCAN * pixels > MOST_SCANNED:  # else it cannot have so many
            scans = _count(file, _SCAN, MOST_SCANNED // pixels + 1)
            if scans * pixels > MOST_SCANNED:
                raise TooCostlyError("it is divided into too many scans; save it anew")


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _length(file: BinaryIO | io.BufferedReader) -> int:
    place = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(place)
    return length


def _count(file: BinaryIO | io.BufferedReader, marker: bytes, most: int) -> int:
    """How often `marker`, two bytes, is in the file; no more than a little above `most` are counted."""
    place, found, last = file.tell(), 0, b""
    file.seek(0)
    while found <= most and (data := file.read(1 << 20)):
        found += data.count(marker) + ((last + data[:1]) == marker)
        last = data[-1:]
    file.seek(place)
    return found


class _CountedFile(io.BufferedReader):
    """Refuses to be read in very many parts, as headers without an end are.

    Nor does it make room for parts that claim to be longer than the file.
    """

    def __init__(self, path: Path) -> None:
        file = io.FileIO(path)
        super().__init__(file)
        self.reads, self.length = 0, os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads = _one_more(self.reads)
        return super().read(size if size is None else min(size, self.length))

    def readline(self, size: int | None = -1, /) -> bytes:
        self.reads = _one_more(self.reads)
        return super().readline(size)


class _CountedBytes(io.BytesIO):
    """The same, in memory."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads = _one_more(self.reads)
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self.reads = _one_more(self.reads)
        return super().readline(size)


def _one_more(reads: int) -> int:
    if reads >= MOST_READS:
        raise TooCostlyError("its content is in too many small parts")
    return reads + 1


def reason(error: Exception) -> str:
    """Why an image cannot be opened or decoded, in one line, from what was raised."""
    return " ".join(str(error).split()) or type(error).__name__
