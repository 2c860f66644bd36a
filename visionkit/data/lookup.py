"""Which image of a folder a table means by a name."""

from __future__ import annotations

from pathlib import Path
from posixpath import normpath
from unicodedata import normalize

from visionkit.data.images import image_files, image_names_below, scan_folder


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
