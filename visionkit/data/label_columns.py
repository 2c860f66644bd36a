"""What the columns of a user's CSV file are: found from names and values, or given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from visionkit.data.delimiters import DELIMITERS, character, delimiter_name, find_delimiter
from visionkit.data.images import IMAGE_ENDINGS, scan_folder
from visionkit.data.lookup import ImageLookup
from visionkit.data.problems import gathering
from visionkit.data.splits import relative_name
from visionkit.data.table_settings import TableSettings
from visionkit.data.tables import Table, open_table, separator_name, shown
from visionkit.errors import DataError, UsageError, listing, nearest

IMAGE_NAMES = frozenset(
    ("image", "img", "photo", "file", "filename", "filepath", "path", "name", "fname", "id")
)
"""Without endings such as `_name`."""
ONE_LABEL = frozenset(("label", "class", "category", "target", "breed", "species", "y"))
MANY_LABELS = frozenset(("labels", "tags", "classes", "categories", "targets"))
PART_NAMES = frozenset(("is_valid", "valid", "split", "part", "subset", "set"))
PARTS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("", "0", "0.0", "false", "no", "train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
HEAD = 5_000
"""So many rows tell what the columns are."""
MOST_VALUES = 5_000_000
"""In these rows together."""
NAMES_TRIED = 30
MOST_TRIED = 600_000
"""Names of all columns together that are looked for in all folders."""
MOST_FOLDERS = 200
ENOUGH_ROWS = 5
"""In so many rows a label has to be there twice: who learns from one image cannot be validated."""


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
        odd_part: a column that is called so, and the first of its values that do not tell.
    """

    table: Table
    folder: Path
    image: str
    labels: tuple[str, ...]
    delimiter: str | None
    many: bool
    part: str | None
    odd_part: tuple[str, str] | None = None

    @property
    def named(self) -> bool:
        """Whether the image column has a name, or a number, as in a table without a header."""
        return _is_image_name(self.image) or not _has_header(self.table)

    def place(self, column: str) -> int:
        return self.table.columns.index(column)


def find_columns(root: Path, settings: TableSettings) -> Columns:
    """What the columns of the table in `root` are.

    A table whose first row names an image file has no header: its columns are called "1", "2" and so on.

    Raises:
        UsageError: an option names what is not there.
        DataError: what a column is cannot be told; the message says what to give.
    """
    file = _table_file(root, settings.csv)
    table = open_table(file, (), _separator(settings))
    if any(Path(column).suffix.lower() in IMAGE_ENDINGS for column in table.columns):
        numbers = [str(number + 1) for number in range(len(table.columns))]
        table = replace(table, columns=numbers, header=table.header - 1)
    head = max(ENOUGH_ROWS, min(HEAD, MOST_VALUES // len(table.columns)))
    rows = [values for _, values in islice(table.rows(), head) if len(values) == len(table.columns)]
    if not rows:
        raise DataError(f"{file}: there are no rows below the header.")
    twice = sorted(column for column, count in Counter(table.columns).items() if column and count > 1)
    if twice:
        raise DataError(f"{file}: there are several columns {shown(repr(twice[0]))}. Keep one of them.")
    given = [settings.image_column, *settings.label_column, settings.valid_column]
    for option, column in zip(
        ("--image-column", *["--label-column"] * len(settings.label_column), "--valid-column"), given
    ):
        if column and column not in table.columns:
            raise UsageError(f"{option} {column}: no column of {file}.{nearest(column, table.columns)}")
    values = {column: [row[at].strip() for row in rows] for at, column in enumerate(table.columns)}
    folder, image = _images(root, table, values, settings)
    if image in settings.label_column:
        raise UsageError(f"--label-column {image}: this column of {file} names the images.")
    taken = {image, *settings.label_column}
    part = settings.valid_column or _part_column(values, taken)
    labels = settings.label_column or _label_columns(table, values, {image, part})
    delimiter, many = _kind(labels, values, settings, file)
    odd = None if part else _odd_part(values, {image, *labels})
    return Columns(table, folder, image, labels, delimiter, many, part, odd)


def describe_columns(columns: Columns, root: Path) -> str:
    """What was found, in a line, but for who validates."""
    table = columns.table
    labels = listing([repr(name) for name in columns.labels], 3)
    if len(columns.labels) > 1:
        told = f"{'tags' if columns.many else 'label'} by the 1 in {labels}"
    elif columns.delimiter is not None:
        told = f"labels in {labels}, divided by {delimiter_name(columns.delimiter)}"
    else:
        told = f"one label in {labels}"
    folder = relative_name(columns.folder, root)
    words = [
        f"found      {table.file.name}, columns divided by {separator_name(table.separator)}",
        f"images in {'.' if folder == '.' else folder + '/'} named in {columns.image!r}",
        told,
    ]
    if not _has_header(table):
        words.insert(1, "no header, so columns have numbers")
    if columns.odd_part:
        column, value = columns.odd_part
        words.append(f"{column!r} does not tell who validates ({shown(value)!r})")
    return "; ".join(words)


def _separator(settings: TableSettings) -> str | None:
    """The character that was given; None where it is to be found."""
    separator = character(settings.separator)
    if len(separator) > 1 or separator in ("\r", "\n", '"', "\0"):
        raise UsageError(
            f"--separator {shown(settings.separator)}: give one character that is no quote or line end, or "
            f"{', '.join(DELIMITERS)}."
        )
    return separator or None


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
        found = f"are {len(files)} tables in it, {listing([file.name for file in files])}"
        found = found if files else "is no .csv or .tsv in it"
        raise UsageError(f"{root}: there {found}. Name the table with --csv FILE.")
    return files[0]


def _images(
    root: Path, table: Table, values: dict[str, list[str]], settings: TableSettings
) -> tuple[Path, str]:
    """The folder of the images and the column that names them: those with the most names found."""
    folders = [root / settings.folder] if settings.folder else _folders(root)
    if settings.folder and not folders[0].is_dir():
        raise UsageError(f"--folder {settings.folder}: there is no such folder in {root}.")
    columns = [settings.image_column] if settings.image_column else list(values)
    attempts = max(1, min(NAMES_TRIED, MOST_TRIED // (len(columns) * len(folders))))
    names = {column: list(dict.fromkeys(filter(None, values[column])))[:attempts] for column in columns}
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


def _odd_part(values: dict[str, list[str]], taken: set[str]) -> tuple[str, str] | None:
    """A column that is called as those which say who validates are, and a value of it that says nothing."""
    for column, texts in values.items():
        if column not in taken and column.casefold() in PART_NAMES:
            odd = next((text for text in texts if text.casefold() not in PARTS), None)
            if odd is not None:
                return column, odd
    return None


def _has_header(table: Table) -> bool:
    return table.columns != [str(number + 1) for number in range(len(table.columns))]


def _label_columns(table: Table, values: dict[str, list[str]], taken: set[str | None]) -> tuple[str, ...]:
    others = [
        column
        for column in values
        if column not in taken and column and not column.casefold().startswith("unnamed:")
    ]
    if len(others) == 1:
        return (others[0],)
    named = [column for column in others if _plain(column) in ONE_LABEL | MANY_LABELS]
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
    header = "" if _has_header(table) else "the table has no header, so its columns have numbers; "
    raise DataError(
        f"{table.file}: {header}the label may be in any of the columns {_all(others)}. Say which with "
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
        sums = [sum(map(_is_flagged, row)) for row in zip(*(values[column] for column in labels))]
        return None, settings.labels == "many" or (settings.labels == "auto" and set(sums) != {1})
    if settings.labels == "one":
        return None, False
    if settings.label_delim:
        return character(settings.label_delim), True
    texts = [text for text in values[labels[0]] if text]
    delimiter = find_delimiter(texts, labels[0].casefold() in MANY_LABELS)
    if delimiter is None and settings.labels == "many":
        return " ", True
    if delimiter is None and len(set(texts)) == len(texts) >= ENOUGH_ROWS:
        raise DataError(
            f"{file}: the column {labels[0]!r} has a different label in every row, such as "
            f"{shown(texts[0])!r}. Name a column of classes with --label-column, or what divides several "
            "labels with --label-delim."
        )
    return delimiter, delimiter is not None


def _plain(column: str) -> str:
    """The column's name in small letters, without "_name" behind it."""
    return re.sub(r"[ _-]names?$", "", column.casefold())


def _is_flagged(text: str) -> bool:
    return FLAGS.get(text.casefold(), False)


def _all(names: Sequence[str]) -> str:
    return listing([shown(repr(name)) for name in names], 12)
