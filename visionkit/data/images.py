"""Finding image files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG

from visionkit.data.problems import refuse, skipped_files
from visionkit.errors import DataError

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


def image_files(folder: Path, recursive: bool = False) -> list[Path]:
    """The image files in `folder`, by their endings, sorted by name, without those that the user skips.

    Only files are images: a folder or a pipe called `x.jpg` is none. Links to files are followed, and one
    whose file is gone stays in the list, so that decoding names it. Hidden files are left out.

    Where `recursive`, the images in its sub-folders count too, at any depth, with `/` in what they are sorted
    by; hidden folders and links to folders are not entered.

    Raises:
        DataError: the folder is missing, cannot be read or holds no image, or a name is not UTF-8.
    """
    names, folders = scan_folder(folder)
    if recursive:
        names = sorted(names + image_names_below(folder, folders))
    if not names:
        place = "this folder or below it" if recursive else "this folder"
        raise DataError(f"{folder}: no images in {place} (looked for {', '.join(sorted(IMAGE_ENDINGS))}).")
    skipped = skipped_names(folder)
    files = [folder / name for name in names if name not in skipped]
    if not files:
        raise DataError(f"{folder}: all {len(names):,} images are in the list of those to skip.")
    return files


def scan_folder(folder: Path, below: str = "") -> tuple[list[str], list[str]]:
    """The names of the images, sorted, and of the sub-folders that lie directly in `folder/below`.

    Names rather than paths, which take five times the memory; they are relative to `folder`. Hidden ones and
    links to folders are left out.

    Raises:
        DataError: the folder is missing or cannot be read, or the name of an image is not UTF-8.
    """
    place = str(folder / below)
    if not below and not _is_text(place):
        raise DataError(f"{_escaped(place)}: the folder's name is not UTF-8. Rename it.")
    start = below and f"{below}/"
    images: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if name[name.rfind(".") :].lower() in IMAGE_ENDINGS and _is_image(entry):
                    images.append(start + name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(start + name)
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{_escaped(place)}: there is no such folder, and the data set keeps its images there."
        raise DataError(message) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{_escaped(place)}: the folder cannot be read ({why}).") from error
    return sorted(name for name in images if _has_text_name(folder, name)), sorted(folders)


def image_names_below(folder: Path, folders: Iterable[str]) -> list[str]:
    """The names of all images in these sub-folders of `folder`, at any depth and in no order."""
    images: list[str] = []
    waiting = list(folders)
    while waiting:
        names, deeper = scan_folder(folder, waiting.pop())
        images += names
        waiting += deeper
    return images


def skipped_names(folder: Path) -> frozenset[str]:
    """The names, relative to `folder`, of the files in it that the user wants left out."""
    return frozenset(
        file.relative_to(folder).as_posix() for file in skipped_files() if file.is_relative_to(folder)
    )


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link that leads to one or to nothing."""
    if entry.is_file(follow_symlinks=False):
        return True
    if not entry.is_symlink():
        return False
    try:
        return S_ISREG(entry.stat().st_mode)
    except OSError:  # its file is gone, it leads in a circle, or what it leads to may not be read
        return True


def _has_text_name(folder: Path, name: str) -> bool:
    """Whether the name is UTF-8, as it has to be to stand in tables, lists and plots."""
    if name.isascii() or _is_text(name):
        return True
    # Without the file, whose name could not be written to a list of problems either.
    refuse("name not UTF-8", f"{folder}: the image's name {_escaped(name)} is not UTF-8. Rename it.")
    return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(name: str) -> str:
    r"""`name` with its bytes that are not UTF-8 as `\xe9`."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
