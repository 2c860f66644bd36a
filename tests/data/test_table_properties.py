"""Generated tables: what was written is read back exactly, or a fault that was put in is refused by its name.

Every table is made from images and tags that are known, so that the rows to expect are known too.
"""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from visionkit.data.images import IMAGE_ENDINGS
from visionkit.data.problems import gathering, skipping
from visionkit.data.tags import read_tags
from visionkit.errors import DataError

Expected = list[tuple[str, list[str]]]

ENCODINGS = {
    "UTF-8": (b"", "utf-8"),
    "UTF-8 with byte order mark": (codecs.BOM_UTF8, "utf-8"),
    "UTF-16, little-endian": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "UTF-16, big-endian": (codecs.BOM_UTF16_BE, "utf-16-be"),
}


@dataclass(frozen=True)
class Image:
    """One image on disk, how the table names it, and its tags."""

    name: str
    written: str
    tags: list[str]


@dataclass(frozen=True)
class Form:
    """How a table is written."""

    encoding: str = "UTF-8"
    separator: str = ","
    announced: bool = False
    line_end: str = "\n"
    quote_all: bool = False
    last_line_end: bool = True
    columns: tuple[str, ...] = ("image_name", "tags")
    padding: str = ""
    blanks: dict[int, list[str]] = field(default_factory=dict)  # before which row, as written


def line(values: list[str], form: Form) -> str:
    special = form.separator + '"\r\n'
    return form.separator.join(
        '"' + value.replace('"', '""') + '"'
        if form.quote_all or any(letter in special for letter in value)
        else value
        for value in values
    )


def rendered(rows: list[dict[str, str] | list[str]], form: Form) -> tuple[str, list[int]]:
    """The text of the table, and the number that a spreadsheet gives each row."""
    lines: list[str] = []
    numbers: list[int] = []
    header = [f"{form.padding}{column}{form.padding}" for column in form.columns]
    for index, row in enumerate([header, *rows]):
        empty = form.separator * (len(form.columns) - 1)
        lines += [empty if blank == "values" else blank for blank in form.blanks.get(index, [])]
        values = row if isinstance(row, list) else [row.get(column, "x, y; z") for column in form.columns]
        lines.append(line(values, form))
        numbers.append(len(lines))
    text = form.line_end.join(lines) + form.line_end * form.last_line_end
    return (f"sep={form.separator}{form.line_end}" if form.announced else "") + text, numbers[1:]


def cells(image: Image) -> dict[str, str]:
    return {"image_name": image.written, "tags": " ".join(image.tags)}


@contextmanager
def written(images: list[Image], text: str, form: Form) -> Iterator[tuple[Path, Path]]:
    """The table and the folder of images on disk."""
    with tempfile.TemporaryDirectory() as work:
        folder, table = Path(work) / "images", Path(work) / "labels.csv"
        folder.mkdir()
        for image in images:
            touch(folder / image.name)
        mark, encoding = ENCODINGS[form.encoding]
        table.write_bytes(mark + text.encode(encoding))
        yield table, folder


def touch(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    file.touch()


def read(table: Path, folder: Path) -> Expected:
    return [(row.path.relative_to(folder).as_posix(), row.tags) for row in read_tags(table, folder)]


def expected(images: list[Image]) -> Expected:
    return [(image.name, image.tags) for image in images]


LETTERS = st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=("Cs",))
STEMS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=8),
    st.integers(-5, 2000).map(str),
    st.integers(0, 99).map("{:05}".format),
    st.sampled_from(
        [
            "NA",
            "nan",
            "null",
            "None",
            "1e5",
            "1.0",
            "True",
            "-0",
            "0x1F",
            "=1+1",
            "a b",
            " a",
            "a ",
            "a,b",
            "a;b",
        ]
    ),
    st.sampled_from(
        [
            "a\tb",
            "a|b",
            'a"b',
            '"',
            "a\nb",
            "a\r\nb",
            "tags",
            "image_name",
            "sep=;",
            "é",
            "e\u0301",
            "Å",
            "한글",
        ]
    ),
    st.sampled_from(["👩‍🚀", "שלום", "\u202eabc", "\ufeffa", "a\u2028b", "x" * 250, "ü" * 120]),
).filter(
    lambda stem: (
        stem.strip() and stem[0] != "." and not any(stem.lower().endswith(end) for end in IMAGE_ENDINGS)
    )
)
TAG_LETTERS = st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",))
TAGS = st.text(TAG_LETTERS, min_size=1, max_size=6).filter(lambda tag: tag.split() == [tag])
PLACES = st.sampled_from(["", "", "", "night/", "bei Nacht, 2/"])


@st.composite
def image_lists(draw: st.DrawFn, smallest: int = 1) -> list[Image]:
    """Images whose names, in all the forms that they may be written in, are all different."""
    names = draw(
        st.lists(
            st.tuples(PLACES, STEMS, st.sampled_from([".jpg", ".png", ".JPEG"])),
            min_size=smallest,
            max_size=6,
            unique_by=lambda name: (name[0], normalize("NFC", name[1].strip())),
        )
    )
    images = []
    for place, stem, ending in names:
        file = place + stem + ending
        name = draw(st.sampled_from([file, place + stem]))
        if not place and stem == stem.strip():
            name = draw(st.sampled_from([name, normalize("NFC", name), normalize("NFD", name)]))
        images.append(Image(file, name, draw(st.lists(TAGS, min_size=1, max_size=4, unique=True))))
    return images


BLANKS = st.lists(st.sampled_from(["", "", " ", "  \t", "values"]), min_size=1, max_size=2)


@st.composite
def forms(draw: st.DrawFn) -> Form:
    announced = draw(st.booleans())
    columns = [*draw(st.permutations(["image_name", "tags"]))]
    for extra in draw(
        st.lists(st.sampled_from(["id", "note; split", "größe, cm", ""]), unique=True, max_size=2)
    ):
        columns.insert(draw(st.integers(0, len(columns))), extra)
    return Form(
        encoding=draw(st.sampled_from(list(ENCODINGS))),
        separator=draw(st.sampled_from([",", ";", "\t", "|", "^"] if announced else [",", ";", "\t"])),
        announced=announced,
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quote_all=draw(st.booleans()),
        last_line_end=draw(st.booleans()),
        columns=tuple(columns),
        padding=draw(st.sampled_from(["", " ", "  "])),
        blanks=draw(st.dictionaries(st.integers(0, 6), BLANKS, max_size=2)),
    )


@given(images=image_lists(), form=forms())
@example([Image("0012.jpg", "0012", ["1"]), Image("12.jpg", "12", ["1.0"])], Form())
@example([Image("e\u0301.jpg", "\u00e9", ["x"])], Form())
@example(
    [Image("a.jpg", "a", ["b"])], Form(encoding="UTF-16, little-endian", separator="\t", line_end="\r\n")
)
@settings(max_examples=400, deadline=None)
def test_a_table_is_read_back_as_it_was_written(images: list[Image], form: Form) -> None:
    text, _ = rendered([cells(image) for image in images], form)
    with written(images, text, form) as (table, folder):
        assert read(table, folder) == expected(images)


# ---- faults of one row -----------------------------------------------------------------------------------

ROW_FAULTS = (
    "missing image", "outside", "no tags", "no name", "row twice", "ambiguous name", "too many values",
    "too few values", "space before quote", "orphaned image",
)  # fmt: skip
KINDS = {
    "outside": "missing image",
    "too many values": "row values",
    "too few values": "row values",
    "space before quote": "row values",
}
QUOTE = "<a quote that quotes nothing>"
OUTSIDE = ["../a.jpg", "..", "x/../../a", "/etc/passwd", "//x", "..\\a.jpg", "\\x\\a.jpg"]


@given(
    images=image_lists(smallest=2),
    form=forms(),
    fault=st.sampled_from(ROW_FAULTS),
    place=st.integers(0, 5),
    outside=st.sampled_from(OUTSIDE),
)
@settings(max_examples=400, deadline=None)
def test_a_faulty_row_is_named_and_the_others_are_read(
    images: list[Image], form: Form, fault: str, place: int, outside: str
) -> None:
    place %= len(images)
    image = images[place]
    on_disk, rows = list(images), [cells(other) for other in images]
    kept = [other for other in images if other is not image]
    orphan = Image("-an orphan-.jpg", "", [])
    all_rows: list[dict[str, str] | list[str]] = list(rows)
    if fault == "missing image":
        on_disk = kept
    elif fault == "outside":
        on_disk = kept
        rows[place]["image_name"] = outside
    elif fault == "no tags":
        rows[place]["tags"] = " " * (len(image.tags) - 1)
    elif fault == "no name":
        rows[place]["image_name"] = " " * (len(image.tags) - 1)
    elif fault == "row twice":
        all_rows.append(rows[place])
        place, kept = len(images), images
    elif fault == "ambiguous name":
        stem = image.name.rpartition(".")[0]
        rows[place]["image_name"] = stem
        on_disk.append(Image(f"{stem}.gif", "", []))
    elif fault == "orphaned image":
        on_disk.append(orphan)
        kept = images
    elif fault == "space before quote":
        assume(not form.quote_all)
    values = [rows[min(place, len(rows) - 1)].get(column, "x") for column in form.columns]
    if fault == "too many values":
        all_rows[place] = [*values, "more"]
    elif fault == "too few values":
        all_rows[place] = values[:-1]
        assume(any(value.strip() for value in values[:-1]))
    elif fault == "space before quote":
        rows[place]["tags"] = QUOTE  # stands for what csv would never write
    text, numbers = rendered(all_rows, form)
    text = text.replace(QUOTE, ' "a b"') if fault == "space before quote" else text

    kind = KINDS.get(fault, fault)
    with written(on_disk, text, form) as (table, folder):
        with pytest.raises(DataError) as caught:
            read(table, folder)
        message = str(caught.value)
        where = "no row for 1 " if fault == "orphaned image" else f"row {numbers[place]}: "
        assert message.startswith(f"{table}") and where in message and "\n" not in message
        with gathering() as problems:
            assert read(table, folder) == expected(kept)
        assert (problems[0].kind, problems[0].severity) == (kind, "error")
        # A row that does not say which image it is about leaves that one without a row.
        unnamed = fault in ("no name", "too few values", "too many values")
        assert [problem.kind for problem in problems[1:]] in ([], ["orphaned image"] * unnamed)
        concerned = frozenset(file for problem in problems for file in problem.files)
        with skipping(concerned):
            if problems[0].files:
                left = [other for other in kept if folder / other.name not in concerned]
                assert read(table, folder) == expected(left)
            else:
                with pytest.raises(DataError, match=r", row \d+: "):
                    read(table, folder)


# ---- faults of the whole file ----------------------------------------------------------------------------


def no_header(text: str, form: Form) -> str:
    return text.replace("image_name", "images") if "image_name" in text else ""


def without_tags_column(text: str, form: Form) -> str:
    return text.replace("tags", "Tags")


def column_twice(text: str, form: Form) -> str:
    return text.replace("tags", f"tags{form.separator}tags", 1)


def open_quote(text: str, form: Form) -> str:
    return f'{text}{form.line_end}"a{form.separator}b'


def text_after_quote(text: str, form: Form) -> str:
    return f'{text}{form.line_end}"a"b{form.separator}c'


def nul(text: str, form: Form) -> str:
    return f"{text}{form.line_end}a\0{form.separator}b"


def long_value(text: str, form: Form) -> str:
    return f"{text}{form.line_end}a{form.separator}{'b ' * 70_000}"


def nothing(text: str, form: Form) -> str:
    return "\n \n"


def header_only(text: str, form: Form) -> str:
    return form.separator.join(["image_name", "tags"]) + form.line_end


FILE_FAULTS = {
    no_header: "no column 'image_name'",
    without_tags_column: "Rename 'Tags' to 'tags'",
    column_twice: "2 columns 'tags'",
    open_quote: "a quote is opened and not closed",
    text_after_quote: "text after a closing quote",
    nul: "NUL bytes",
    long_value: "a value of more than 131,072 characters",
    nothing: "not a CSV file (it is empty)",
    header_only: "no rows below the header",
}


@given(images=image_lists(), form=forms(), fault=st.sampled_from(list(FILE_FAULTS)), lenient=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_faulty_file_is_refused_also_while_problems_are_gathered(
    images: list[Image], form: Form, fault: object, lenient: bool
) -> None:
    images = [replace(image, name=f"{n}.jpg", written=str(n), tags=["x"]) for n, image in enumerate(images)]
    form = replace(form, announced=form.announced and form.separator in ",;\t", quote_all=False)
    form = replace(form, separator=form.separator if form.separator in ",;\t" else ",", last_line_end=False)
    text, _ = rendered([cells(image) for image in images], form)
    assert callable(fault)
    leniency = gathering() if lenient else nullcontext()
    with (
        written(images, fault(text, form), form) as (table, folder),
        leniency,
        pytest.raises(DataError) as caught,
    ):
        read(table, folder)
    assert str(table) in str(caught.value) and FILE_FAULTS[fault] in str(caught.value)


OTHER_ENCODINGS = [
    "latin-1", "cp1252", "cp1251", "cp037", "shift_jis", "gb18030", "big5", "utf-16-le", "utf-16-be",
    "utf-32", "utf-32-le", "utf-32-be",
]  # fmt: skip


@given(
    encoding=st.sampled_from(OTHER_ENCODINGS),
    word=st.sampled_from(["é", "größe", "привет", "日本"]),
    form=forms(),
)
@settings(max_examples=100, deadline=None)
def test_other_encodings_are_refused(encoding: str, word: str, form: Form) -> None:
    images = [Image("a.jpg", "a", ["clear"]), Image(f"{word}.jpg", word, [word])]
    text, _ = rendered([cells(image) for image in images], form)
    with written(images, text, form) as (table, folder):
        try:
            table.write_bytes(text.encode(encoding))
        except UnicodeEncodeError:
            assume(False)
        with pytest.raises(DataError, match=r"UTF-8|not a CSV|no column"):
            read(table, folder)


@given(data=st.binary(max_size=60), form=forms(), place=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_damage_of_any_kind_is_refused_or_leaves_what_was_written(
    data: bytes, form: Form, place: float
) -> None:
    images = [Image(f"{name}.jpg", name, ["clear", "road"]) for name in ("a", "é", "007")]
    text, _ = rendered([cells(image) for image in images], form)
    with written(images, text, form) as (table, folder):
        whole = table.read_bytes()
        cut = int(place * len(whole))
        table.write_bytes(whole[:cut] + data + whole[cut + len(data) // 2 :])
        try:
            rows = read(table, folder)
        except DataError:
            return
        assert sorted(name for name, _ in rows) == ["007.jpg", "a.jpg", "é.jpg"]
        assert all(tags for _, tags in rows)
