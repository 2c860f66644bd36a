"""What the columns of a user's CSV file are: found from names and values, or given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from visionkit.data.images import IMAGE_ENDINGS, scan_folder
from visionkit.data.lookup import ImageLookup
from visionkit.data.photos import PhotoSettings
from visionkit.data.problems import gathering
from visionkit.data.splits import relative_name
from visionkit.data.tables import Table, open_table, separator_name, shown
from visionkit.errors import DataError, UsageError, listing, nearest
from visionkit.settings import Names, OptionalPath, setting

IMAGE_NAMES = frozenset(
    ("image", "img", "photo", "file", "filename", "filepath", "path", "name", "fname", "id")
)
"""Without endings such as `_name`."""
ONE_LABEL = frozenset(("label", "class", "category", "target", "breed", "species", "y"))
MANY_LABELS = frozenset(("labels", "tags", "classes", "categories", "targets"))
PART_NAMES = frozenset(("is_valid", "valid", "split", "part", "subset", "set"))
PARTS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "valid", "val", "validation"), "valid"),
    **dict.fromkeys(("", "0", "0.0", "false", "no", "train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
DELIMITERS = {"space": " ", "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
HEAD = 5_000
"""So many rows tell what the columns are."""
NAMES_TRIED = 30
MOST_FOLDERS = 200


class TableSettings(PhotoSettings):
    """Which table, and what its columns are; what is not given is found."""

    csv: Annotated[
        OptionalPath, setting("The CSV file, from --data; the only .csv or .tsv there if empty.", "Recipe")
    ] = None
    separator: Annotated[
        str, setting("Between columns: found, or comma, semicolon, tab, pipe or a character.", "Recipe")
    ] = ""
    folder: Annotated[
        str,
        setting("Folder of the images, from --data; the one that has the named files if empty.", "Recipe"),
    ] = ""
    image_column: Annotated[
        str, setting("Column of the images' names; the one that names files if empty.", "Recipe")
    ] = ""
    label_column: Annotated[
        Names,
        setting(
            "Column of the labels; several hold 1 for the tags that an image has, else 0.",
            "Recipe",
            "COLUMN…",
        ),
    ] = ()
    labels: Annotated[
        Literal["auto", "one", "many"], setting("Labels of an image; auto goes by the values.", "Recipe")
    ] = "auto"
    label_delim: Annotated[
        str,
        setting(
            "Between the labels of an image: found, or space, comma, semicolon, tab, pipe or text.", "Recipe"
        ),
    ] = ""
    valid_column: Annotated[
        str,
        setting(
            "Column that says who validates (1, true, valid); found by name and values if empty.", "Recipe"
        ),
    ] = ""


@dataclass(frozen=True)
class Columns:
    """What a table's columns are.

    Args:
        table: the table.
        folder: of the images.
        image: the column of the images' names.
        labels: the column of labels, or several columns of 0 and 1.
        delimiter: between the labels of an image; None where it has one, or for columns of 0 and 1.
        many: whether an image may have several labels, or none.
        part: the column that says who validates.
    """

    table: Table
    folder: Path
    image: str
    labels: tuple[str, ...]
    delimiter: str | None
    many: bool
    part: str | None

    def place(self, column: str) -> int:
        return self.table.columns.index(column)


def find_columns(root: Path, settings: TableSettings) -> Columns:
    """What the columns of the table in `root` are.

    Raises:
        UsageError: an option names what is not there.
        DataError: what a column is cannot be told; the message says what to give.
    """
    file = _table_file(root, settings.csv)
    table = open_table(file, (), _character(settings.separator) or None)
    rows = [values for _, values in islice(table.rows(), HEAD) if len(values) == len(table.columns)]
    if not rows:
        raise DataError(f"{file}: there are no rows below the header.")
    twice = sorted({column for column in table.columns if column and table.columns.count(column) > 1})
    if twice:
        raise DataError(f"{file}: there are several columns {twice[0]!r}. Keep one of them.")
    given = [settings.image_column, *settings.label_column, settings.valid_column]
    for option, column in zip(
        ("--image-column", *["--label-column"] * len(settings.label_column), "--valid-column"), given
    ):
        if column and column not in table.columns:
            raise UsageError(f"{option} {column}: no column of {file}.{nearest(column, table.columns)}")
    values = {column: [row[at].strip() for row in rows] for at, column in enumerate(table.columns)}
    folder, image = _images(root, table, values, settings)
    part = settings.valid_column or _part_column(values, {image, *settings.label_column})
    labels = settings.label_column or _label_columns(table, values, {image, part})
    delimiter, many = _kind(labels, values, settings, file)
    return Columns(table, folder, image, labels, delimiter, many, part)


def describe_columns(columns: Columns, root: Path) -> str:
    """What was found, in a line."""
    table = columns.table
    labels = listing([repr(name) for name in columns.labels], 3)
    if len(columns.labels) > 1:
        told = f"{'tags' if columns.many else 'label'} by the 1 in {labels}"
    elif columns.delimiter is not None:
        told = f"labels in {labels}, divided by {_delimiter_name(columns.delimiter)}"
    else:
        told = f"one label in {labels}"
    folder = relative_name(columns.folder, root)
    words = [
        f"found      {table.file.name}, columns divided by {separator_name(table.separator)}",
        f"images in {'.' if folder == '.' else folder + '/'} named in {columns.image!r}",
        told,
    ]
    if columns.part:
        words.append(f"validation by {columns.part!r}")
    return "; ".join(words)


def _table_file(root: Path, named: Path | None) -> Path:
    if named is not None:
        for file in (root / named.expanduser(), named.expanduser()):
            if file.is_file():
                return file
        raise UsageError(f"--csv {named}: there is no such file, neither in {root} nor here.")
    files = sorted(
        file for file in root.iterdir() if file.suffix.lower() in (".csv", ".tsv") and file.is_file()
    )
    files = [file for file in files if not file.name.startswith(".")]
    if len(files) != 1:
        found = (
            f"{len(files)} tables, {listing([file.name for file in files])}" if files else "no .csv or .tsv"
        )
        raise UsageError(f"{root}: there is {found} in it. Name the table with --csv FILE.")
    return files[0]


def _images(
    root: Path, table: Table, values: dict[str, list[str]], settings: TableSettings
) -> tuple[Path, str]:
    """The folder of the images and the column that names them: those with the most names found."""
    folders = [root / settings.folder] if settings.folder else _folders(root)
    if settings.folder and not folders[0].is_dir():
        raise UsageError(f"--folder {settings.folder}: there is no such folder in {root}.")
    columns = [settings.image_column] if settings.image_column else list(values)
    names = {column: list(dict.fromkeys(filter(None, values[column])))[:NAMES_TRIED] for column in columns}
    counts: dict[tuple[Path, str], int] = {}
    for folder in folders:
        with gathering():  # what is wrong with the folder's files is told when they are read
            try:
                lookup = ImageLookup(folder)
            except DataError:
                continue
            for column in columns:
                counts[folder, column] = sum(len(lookup.find(name)) == 1 for name in names[column])
    best = max(counts.values(), default=0)
    if not best:
        tried = f"the column {columns[0]!r}" if len(columns) == 1 else f"none of the columns {_all(columns)}"
        negation = " does not name" if len(columns) == 1 else " names"
        first = _all([shown(texts[0]) for texts in values.values()])
        raise DataError(
            f"{table.file}: {tried}{negation} images in {settings.folder or root} or its folders (first row: "
            f"{first}; separator: {separator_name(table.separator)}). The first row of a table names its "
            "columns; say which names the images with --image-column, and where they are with --folder."
        )
    tied = [pair for pair, count in counts.items() if count == best]
    whole = [
        pair for pair in tied if any(Path(name).suffix.lower() in IMAGE_ENDINGS for name in names[pair[1]])
    ]
    tied = whole or tied  # 3.png says more than 3
    known = [pair for pair in tied if _is_image_name(pair[1])]
    if len({column for _, column in tied}) > 1 and len({column for _, column in known}) == 1:
        tied = known
    if len({column for _, column in tied}) > 1:
        found = _all(sorted({column for _, column in tied}))
        raise DataError(
            f"{table.file}: the columns {found} all name images. Say which to take with --image-column."
        )
    if len(tied) > 1:
        named = [pair for pair in tied if pair[0].name.lower() == table.file.stem.lower()]
        tied = named or tied
    if len(tied) > 1 and tied[0][0] != root:
        found = listing([relative_name(folder, root) for folder, _ in tied])
        raise DataError(
            f"{table.file}: the images that it names are in several folders, {found}. Say which to take with "
            "--folder."
        )
    return tied[0]


def _is_image_name(column: str) -> bool:
    """Whether it is called "image", "file_name" or the like."""
    name = column.casefold()
    return bool({name, re.sub(r"[ _-]?(s|id|name|path|file)$", "", name)} & IMAGE_NAMES)


def _folders(root: Path) -> list[Path]:
    """`root`, the folders in it and those in these."""
    found, level = [root], [root]
    for _ in range(2):
        level = [folder / name for folder in level for name in scan_folder(folder)[1]]
        found += level[: MOST_FOLDERS - len(found)]
    return found


def _part_column(values: dict[str, list[str]], taken: set[str]) -> str | None:
    """The column whose name and values tell who validates; None where they tell the same of all."""
    for column, texts in values.items():
        parts = {PARTS.get(text.casefold()) for text in texts}
        if column not in taken and column.casefold() in PART_NAMES and None not in parts and len(parts) > 1:
            return column
    return None


def _label_columns(table: Table, values: dict[str, list[str]], taken: set[str | None]) -> tuple[str, ...]:
    others = [
        column
        for column in values
        if column not in taken and column and not column.casefold().startswith("unnamed:")
    ]
    if len(others) == 1:
        return (others[0],)
    named = [column for column in others if column.casefold() in ONE_LABEL | MANY_LABELS]
    if len(named) == 1:
        return (named[0],)
    flags = [column for column in others if all(text.casefold() in FLAGS for text in values[column])]
    if len(flags) > 1 and flags == others:
        return tuple(flags)
    if not others:
        raise DataError(
            f"{table.file}: there is no column for labels; its columns are {_all(table.columns)} (separator: "
            f"{separator_name(table.separator)}). Another one can be given with --separator."
        )
    raise DataError(
        f"{table.file}: the label may be in any of the columns {_all(others)}. Say which with "
        "--label-column; several names mean columns of 0 and 1."
    )


def _kind(
    labels: Sequence[str], values: dict[str, list[str]], settings: TableSettings, file: Path
) -> tuple[str | None, bool]:
    """The delimiter between labels, and whether an image may have many."""
    if len(labels) > 1:
        for column in labels:
            odd = next((text for text in values[column] if text.casefold() not in FLAGS), None)
            if odd is not None:
                raise DataError(
                    f"{file}: the column {column!r} holds {shown(odd)!r}. Several label columns have to hold "
                    "0 or 1; name one with --label-column for labels in words."
                )
        return None, settings.labels != "one"
    if settings.labels == "one":
        return None, False
    if settings.label_delim:
        return _character(settings.label_delim), True
    texts = [text for text in values[labels[0]] if text]
    delimiter = _delimiter(texts, labels[0].casefold() in MANY_LABELS)
    if delimiter is None and settings.labels == "many":
        return " ", True
    return delimiter, delimiter is not None


def _delimiter(texts: list[str], plural: bool) -> str | None:
    """What divides the labels of an image; None where each has one.

    A bar or semicolon divides wherever it stands. A comma or space does where one value in twenty has it and
    the parts make up more values than there are parts, or where the column's name is a plural: "golden
    retriever" is one label.
    """
    for delimiter in "|;":
        if any(delimiter in text for text in texts):
            return delimiter
    for delimiter in ", ":
        share = sum(delimiter in text for text in texts) / max(1, len(texts))
        parts = {part for text in texts for part in divided(text, delimiter)}
        if share >= 0.05 and (plural or len(parts) < len(set(texts))):
            return delimiter
    return None


def divided(text: str, delimiter: str) -> list[str]:
    """The labels in `text`, each once, without spaces around them."""
    return list(dict.fromkeys(part.strip() for part in text.split(delimiter) if part.strip()))


def _character(text: str) -> str:
    return DELIMITERS.get(text.casefold(), text)


def _delimiter_name(delimiter: str) -> str:
    return next((name for name, text in DELIMITERS.items() if text == delimiter), repr(delimiter))


def _all(names: Sequence[str]) -> str:
    return listing([shown(repr(name)) for name in names], 12)
