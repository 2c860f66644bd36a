"""The images that a call names, and where the files that are written for each of them belong."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from visionkit.data.tables import open_table
from visionkit.errors import UsageError
from visionkit.inference.image_sources import (
    Unusable,
    at_address,
    find_entries,
    images_in,
    is_address,
    read_names,
    shown_name,
)
from visionkit.shards.named_images import Tar, Tars, default_tars

LONGEST_NAME = 200
"""Bytes of a file's name that are kept; file systems take 255, and an ending and a number are added."""


class Input(NamedTuple):
    """One image that was named.

    Args:
        image: its path or address, or why it cannot be one.
        below: the folder that was named; files for the image keep its place below it.
    """

    image: str | Unusable
    below: str = ""

    @property
    def name(self) -> str:
        """What the image is called in answers: valid text, without the password of an address."""
        name = self.image.name if isinstance(self.image, Unusable) else self.image
        return shown_name(name).encode("utf-8", "backslashreplace").decode()

    def place(self) -> PurePath:
        """A relative path for files that belong to the image, without ending; other images may have the same.

        It never points out of the folder that it is put below.
        """
        if is_address(self.name):
            parts = [unquote(urlsplit(self.name).path).replace("\\", "/").rpartition("/")[2]]
        else:
            path = self.image if isinstance(self.image, str) else self.name
            path = os.path.relpath(path, self.below) if self.below else path
            parts = [
                part for part in PurePath(os.path.normpath(path)).parts if not part.endswith(("/", "\\"))
            ]
        kept = [part for part in parts if part not in ("", ".", "..")] or ["image"]
        kept[-1] = os.path.splitext(kept[-1])[0]
        return PurePath(*(_short(part) for part in kept))


Entry = Input | Tar
"""What a list of images has: an image, or a whole tar file."""


def named_inputs(names: Iterable[str], tars: Tars | None = None) -> Iterator[Input]:
    """All images that `names` mean: files, folders, patterns and addresses, as `find_images` has them."""
    return inputs_of(named_entries(names, tars or default_tars()))


def named_entries(names: Iterable[str], tars: Tars) -> Iterator[Entry]:
    """As `named_inputs`, with tar files as wholes: they are not looked at."""
    for name in names:
        below = _folder_of(name)
        for found in find_entries([name], tars):
            yield found if isinstance(found, Tar) else Input(found, below)


def inputs_of(entries: Iterable[Entry]) -> Iterator[Input]:
    """All images of a list."""
    for each in entries:
        if isinstance(each, Tar):
            yield from map(Input, images_in(each))
        else:
            yield each


def table_inputs(tables: Iterable[str], column: str, tars: Tars | None = None) -> Iterator[Input]:
    """The images in a column of CSV files, a row each: addresses, and paths from the folder of the file.

    A row without a value is in its place as `Unusable`.

    Raises:
        UsageError: a name is no file.
        DataError: a file is no CSV file, or has no such column.
    """
    for name in tables:
        file = Path(name).expanduser() if not os.path.lexists(name) else Path(name)
        if not file.is_file():
            raise UsageError(f"{name}: --column is for CSV files, and this is none.")
        table = open_table(file, (column,))
        place = table.columns.index(column)
        folder = os.path.dirname(file)
        for number, values in table.rows():
            value = values[place].strip() if place < len(values) else ""
            if not value:
                yield Input(Unusable(f"{file}, row {number}", f"nothing in the column {column}"))
            elif is_address(value):
                yield Input(at_address(value, tars or default_tars()))
            elif os.path.isabs(value):
                yield Input(value, os.path.dirname(value))
            else:
                yield Input(os.path.join(folder, value), folder or ".")


def names_with_list(names: list[str], listed: BinaryIO) -> list[str]:
    """`names`, with those of the list in the stream `listed` in the place of a `-`.

    Raises:
        UsageError: `-` is there twice, or nothing is named.
    """
    if names.count("-") > 1:
        raise UsageError("give - once: standard input can be read only once.")
    given: list[str] = []
    for name in names:
        given += read_names(listed) if name == "-" else [name]
    if not given:
        raise UsageError("standard input names no image; give one path or address a line.")
    return given


def is_relative(each: Input) -> bool:
    """Whether the name of an image counts from the current folder."""
    return isinstance(each.image, str) and not is_address(each.image) and not os.path.isabs(each.image)


def tar_name(tar: Tar) -> str:
    """What stands before the names of its images in answers."""
    return Input(tar.above).name


def entry_name(tar: Tar) -> str:
    """What a list says of a tar file: its name, and what changes where its content does."""
    about = ("", "") if tar.shard is None else (str(tar.shard.size), tar.shard.tag)
    return "\0".join((tar_name(tar), *about))


def _folder_of(name: str) -> str:
    """The folder that a name speaks of: itself, that of a file, or what stands before a pattern."""
    if is_address(name):
        return ""
    written = os.path.expanduser(name) if not os.path.lexists(name) else name
    if os.path.isdir(written):
        return written
    folder = os.path.dirname(written)
    while not os.path.lexists(written) and glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."


def _short(part: str) -> str:
    kept = "".join(character if character.isprintable() else "_" for character in part)
    return kept.encode("utf-8")[:LONGEST_NAME].decode("utf-8", "ignore") or "image"
