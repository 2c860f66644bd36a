"""Which images train and which validate, by a list: a text file of names, or the split of an earlier run."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from pathlib import Path

from visionkit.atomic import write_atomically
from visionkit.data.problems import refuse, skipped_files
from visionkit.data.tables import shown
from visionkit.data.text_files import read_text
from visionkit.errors import DataError, listing

Splits = tuple[list[int], list[int]]
SPLIT_FILE = "split.csv"
PARTS = ("train", "valid", "none")
"""Of split.csv; some splits, such as folders with a test part, leave images out."""
TRAIN_FOLDERS = frozenset({"train", "training"})
VALID_FOLDERS = frozenset({"valid", "val", "validation"})


def validation_list(path: Path) -> Callable[[Sequence[Path]], Splits]:
    """A fastai splitter: the images whose file names stand in the text file `path`, one a line, validate.

    The splitter raises `DataError` where the file is missing, or names a file that is not there.
    """

    def split(images: Sequence[Path]) -> Splits:
        names = dict.fromkeys(read_lines(path, "it lists the validation images, one file name a line"))
        present = {image.name for image in images} | {file.name for file in skipped_files()}
        unknown = sorted(name for name in names if name not in present)
        if unknown:
            refuse(
                "unknown in split",
                f"{path}: {len(unknown)} of its {len(names)} names are of no image: "
                f"{listing(list(map(shown, unknown)))}. "
                "Correct the list or add the images.",
            )
        train = [index for index, image in enumerate(images) if image.name not in names]
        valid = [index for index, image in enumerate(images) if image.name in names]
        return train, valid

    return split


def listed_split(file: Path, images: Sequence[Path], folder: Path) -> Splits:
    """The split that `file` says: split.csv of a run, or a text file of validation images, one a line.

    Images are named by their paths from `folder`, or in a text file by their file names alone.

    Raises:
        DataError: the file is missing or damaged, names an image that is not there, or does not tell for
            every image.
    """
    if file.suffix.lower() == ".csv":
        return _recorded_split(file, images, folder)
    by_path, by_name = _index(images, folder)
    valid: set[int] = set()
    unknown = []
    for line in read_lines(file, "it lists the validation images, one a line"):
        found = [by_path[line]] if line in by_path else by_name.get(line, [])
        if len(found) > 1:
            meant = listing([relative_name(images[index], folder) for index in found])
            raise DataError(f"{file}: {shown(line)} may mean any of {meant}. Write the path from {folder}.")
        if not found:
            unknown.append(line)
        valid.update(found)
    _refuse_unknown(file, unknown, folder)
    return [index for index in range(len(images)) if index not in valid], sorted(valid)


def write_split(
    file: Path, images: Sequence[Path], train: Iterable[int], valid: Iterable[int], folder: Path
) -> None:
    """Write split.csv: a row an image with its path from `folder`, and train, valid or none.

    The order is kept, for the order of the images is part of what makes a training repeatable.

    Args:
        file: to write.
        images: all that the data set has.
        train: places in `images`.
        valid: places in `images`; those in neither are left out by the split.
        folder: of the data set.
    """
    write_atomically(file, split_text(images, train, valid, folder))


def split_text(images: Sequence[Path], train: Iterable[int], valid: Iterable[int], folder: Path) -> str:
    """What split.csv holds, as `write_split` writes it."""
    taken = [list(train), list(valid)]
    used = {index for part in taken for index in part}
    left_out = [index for index in range(len(images)) if index not in used]
    text = StringIO()
    writer = csv.writer(text)  # with the usual \r\n, names that hold one of the two are quoted
    writer.writerow(["image", "part"])
    for part, indices in zip(PARTS, (*taken, left_out)):
        writer.writerows((relative_name(images[index], folder), part) for index in indices)
    return text.getvalue()


def relative_name(image: Path, folder: Path) -> str:
    """The path of `image` from `folder`, with forward slashes; the whole path where it lies elsewhere."""
    return (image.relative_to(folder) if image.is_relative_to(folder) else image).as_posix()


def read_lines(file: Path, purpose: str) -> list[str]:
    """The lines of a text file that are not blank, without the spaces around them.

    Raises:
        DataError: it is missing or not UTF-8; the message gives its `purpose`.
    """
    if not file.is_file():
        raise DataError(f"{file}: there is no such file; {purpose}.")
    try:
        lines = read_text(file).splitlines()
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file; {purpose}.") from None
    return [line.strip() for line in lines if line.strip()]


def _recorded_split(file: Path, images: Sequence[Path], folder: Path) -> Splits:
    by_path, _ = _index(images, folder)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    unknown = []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines, strict=True))
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file; a run keeps its split there.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read ({error}).") from error
    if not rows or rows[0] != ["image", "part"]:
        raise DataError(f"{file}: not the split of a run; its columns would be image and part.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or row[1] not in PARTS:
            raise DataError(
                f"{file}, row {number}: an image and train, valid or none are expected, not "
                f"{shown(str(row))}."
            )
        if row[0] not in by_path:
            unknown.append(row[0])
        elif by_path[row[0]] == -1:
            raise DataError(f"{file}, row {number}: {shown(row[0])} is there twice.")
        else:
            parts[row[1]].append(by_path[row[0]])
            by_path[row[0]] = -1
    _refuse_unknown(file, unknown, folder)
    left = [name for name, index in by_path.items() if index != -1]
    if left:
        raise DataError(
            f"{file}: says nothing about {len(left):,} of the images in {folder}: {listing(left)}. Take "
            "another split, or leave these images out with --skip."
        )
    return parts["train"], parts["valid"]


def folder_split(images: Sequence[Path], folder: Path) -> Splits:
    """By the first folder on the way from the data set to the image that is called train, valid or so.

    Images outside of both, such as those in a folder called test, are left out.
    """
    train: list[int] = []
    valid: list[int] = []
    for index, image in enumerate(images):
        for parent in Path(relative_name(image, folder)).parts[:-1]:
            part = parent.lower()
            if part in TRAIN_FOLDERS | VALID_FOLDERS:
                (train if part in TRAIN_FOLDERS else valid).append(index)
                break
    if not train or not valid:
        missing = "train" if not train else "valid"
        raise DataError(
            f"{folder}: --split folder finds no image in a folder called {missing}. Name the folders train "
            "and valid, or take another --split."
        )
    return train, valid


def _index(images: Sequence[Path], folder: Path) -> tuple[dict[str, int], dict[str, list[int]]]:
    by_name: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        by_name.setdefault(image.name, []).append(index)
    return {relative_name(image, folder): index for index, image in enumerate(images)}, by_name


def _refuse_unknown(file: Path, names: list[str], folder: Path) -> None:
    skipped = skipped_files()
    skipped_names = {skip.name for skip in skipped}
    unknown = [name for name in names if folder / name not in skipped and name not in skipped_names]
    if unknown:
        raise DataError(
            f"{file}: {len(unknown):,} of its names are of no image in {folder}: "
            f"{listing(list(map(shown, unknown)))}. Correct the list or add the images."
        )
