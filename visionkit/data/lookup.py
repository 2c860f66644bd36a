"""Which image of a folder a table means by a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from posixpath import normpath
from unicodedata import normalize

from visionkit.data.images import image_files, image_names_below, scan_folder
from visionkit.data.problems import refuse
from visionkit.data.tables import shown
from visionkit.errors import DataError, listing

LONGEST_NAME = 4096
"""Of a path, on Linux."""


class ImageLookup:
    """The images of a folder, found by the names that tables give them.

    `names` holds the images' names relative to the folder, in sorted order: those directly in it, and those
    in its sub-folders too from the moment that a table names one of them, or where it holds no others. A name
    always leads to an image in the folder, never out of it.

    Raises:
        DataError: as `image_files`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, None] = {}  # as fast as a set, and sorted
        self._start = f"{folder.absolute().as_posix().rstrip('/')}/"
        self._endings: list[str] = []
        self._composed: dict[str, list[str]] | None = None  # names that are not in NFC by what they are in it
        names, self._folders = scan_folder(folder)
        self._set_names(names)
        if not names:
            self._look_below()
        if not self.names:
            image_files(folder)  # raises, and says what was looked for

    def find(self, name: str) -> list[str]:
        """The images that `name` may mean: none, one, or several where it is ambiguous.

        It is a file name with or without its ending, and may have sub-folders before it. One that is so on
        disk goes before one without its ending, and either before a name in which only capitals in the
        ending, the Unicode form (macOS decomposes accents), spaces around it or Windows' backslashes differ.
        A whole path into the folder is as good as the path from there.
        """
        name = self.inside(name)
        found = self._find(name)
        if not found and self._folders and ("/" in name or "\\" in name):
            self._look_below()
            found = self._find(name)
        return found

    def inside(self, name: str) -> str:
        """`name` without the way to the folder, where it is a whole path into it."""
        plain = name.strip()
        return plain.removeprefix(self._start) if plain.startswith(self._start) else name

    def _find(self, name: str) -> list[str]:
        if name in self.names:
            return [name]
        found = [name + ending for ending in self._endings if name + ending in self.names]
        if len(name) > LONGEST_NAME:  # putting accents in order takes the square of the length
            return found
        found = found or self._other_case(name)
        if found or not name.strip() or leads_outside(name):
            return found
        plain = normalize("NFC", normpath(name.strip().replace("\\", "/")))
        return self._variants(plain) or [
            file for ending in self._endings for file in self._variants(plain + ending)
        ]

    def _other_case(self, name: str) -> list[str]:
        """The files whose names differ from `name` by capitals in the ending alone."""
        stem, dot, ending = name.rpartition(".")
        same = [each for each in self._endings if each.casefold() == f"{dot}{ending}".casefold()]
        return [stem + each for each in same if stem + each in self.names]

    def _variants(self, plain: str) -> list[str]:
        """The files whose name is `plain` in whichever Unicode form."""
        if self._composed is None:
            self._composed = {}
            for name in self.names:
                if not name.isascii() and (composed := normalize("NFC", name)) != name:
                    self._composed.setdefault(composed, []).append(name)
        return [plain] * (plain in self.names) + self._composed.get(plain, [])

    def _look_below(self) -> None:
        below = image_names_below(self.folder, self._folders)
        self._folders = []
        if below:
            self._set_names(sorted([*self.names, *below]))

    def _set_names(self, names: list[str]) -> None:
        self.names = dict.fromkeys(names)
        self._endings = sorted({name[name.rfind(".") :] for name in names})
        self._composed = None


def leads_outside(name: str) -> bool:
    """Whether `name` is absolute or climbs above where it starts."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or (len(parts) > 1 and not parts[0].strip())


def fault_of_match(name: str, found: Sequence[str], folder: Path) -> tuple[str, str] | None:
    """Why a table's `name` does not mean exactly one image: kind and message; None where it does.

    Args:
        name: as it stands in the table.
        found: the images in `folder` that it may mean.
        folder: of the images.
    """
    if not found and leads_outside(name):
        return "missing image", (
            f"{shown(name)} lies outside of {folder}. Name images by where they are in that folder."
        )
    if not found:
        return "missing image", f"{shown(name)} has no image in {folder}. Add the file or remove the row."
    if len(found) > 1:
        meant = listing(list(map(shown, found)))
        return (
            "ambiguous name",
            f"{shown(name)} may mean any of {meant} in {folder}. Write the whole file name.",
        )
    return None


def refuse_orphans(orphans: Sequence[str], folder: Path, table: Path) -> None:
    """Refuse images without a row: in one message, or one problem each where they are gathered.

    Args:
        orphans: their names.
        folder: of the images.
        table: which has no rows for them.
    """
    for name in orphans:
        path = folder / name
        try:
            refuse("orphaned image", f"{path}: no row in {table}. Add one or move it away.", path)
        except DataError:
            raise DataError(
                f"{table}: no row for {len(orphans):,} of the images in {folder}: "
                f"{listing(list(map(shown, orphans)))}. Add rows or move them away."
            ) from None
