"""A table of tags is read exactly, or refused with a message that names file and row."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.data.tags import read_tags
from visionkit.errors import DataError

HEADER = b"image_name,tags\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images; the reader looks at their names only."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "b.jpg", "007.jpg"):
        (images / name).touch()
    return images


def read(table: bytes, folder: Path) -> list[tuple[str, list[str]]]:
    file = folder.parent / "labels.csv"
    file.write_bytes(table)
    return [(row.path.name, row.tags) for row in read_tags(file, folder)]


GOOD = {
    "without ending": HEADER + b"b,haze\na,clear road\n007,clear\n",
    "with ending": HEADER + b"b.jpg,haze\na.jpg,clear road\n007.jpg,clear\n",
    "byte order mark": codecs.BOM_UTF8 + HEADER + b"b,haze\na,clear road\n007,clear\n",
    "line ends of Windows": b"image_name,tags\r\nb,haze\r\na,clear road\r\n007,clear\r\n",
    "line ends of old Macs": b"image_name,tags\rb,haze\ra,clear road\r007,clear\r",
    "quotes": b'"image_name","tags"\n"b","haze"\n"a","clear road"\n"007","clear"\n',
    "no last line end": HEADER + b"b,haze\na,clear road\n007,clear",
    "blank lines": HEADER + b"\nb,haze\n\na,clear road\n007,clear\n\n\n",
    "columns in another order": b"id,tags,image_name\n1,haze,b\n2,clear road,a\n3,clear,007\n",
    "spaces around tags": HEADER + b"b, haze\na,  clear   road \n007,clear\n",
    "tag written twice": HEADER + b"b,haze haze\na,clear road clear\n007,clear\n",
}


@pytest.mark.parametrize("table", GOOD.values(), ids=GOOD)
def test_good_tables_keep_the_order_of_their_rows(table: bytes, folder: Path) -> None:
    assert read(table, folder) == [("b.jpg", ["haze"]), ("a.jpg", ["clear", "road"]), ("007.jpg", ["clear"])]


@pytest.mark.parametrize("name", ["NA", "null", "1e5", "True", "-0"])
def test_names_and_tags_stay_text(name: str, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / f"{name}.png").touch()
    assert read(HEADER + f"{name},{name}\n".encode(), images) == [(f"{name}.png", [name])]


def test_a_whole_file_name_goes_before_a_name_without_ending(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "a.jpg.png", "a.b.jpg"):
        (images / name).touch()
    table = HEADER + b"a.jpg,one\na.jpg.png,two\na.b,three\n"
    assert read(table, images) == [("a.jpg", ["one"]), ("a.jpg.png", ["two"]), ("a.b.jpg", ["three"])]


REFUSED = {
    "no tags column": (b"image_name,labels\na,clear\n", ["no column 'tags'", "'labels'"]),
    "no known column": (b"a;b\n1;2\n", ["'image_name'", "'tags'", "'a;b'"]),
    "two tags columns": (b"image_name,tags,tags\na,clear,haze\n", ["2 columns 'tags'"]),
    "empty tags": (HEADER + b"a,clear\nb, \n007,clear\n", ["row 3", "b has no tags"]),
    "empty name": (HEADER + b"a,clear\n,haze\n", ["row 3", "no image name"]),
    "missing image": (HEADER + b"a,clear\nb,haze\nc,haze\n", ["row 4", "c has no image"]),
    "name with another ending": (HEADER + b"a.tif,clear\n", ["row 2", "a.tif has no image"]),
    "name with a dot": (HEADER + b"a.1,clear\n", ["row 2", "a.1 has no image"]),
    "image of another folder": (HEADER + b"test/a.jpg,clear\n", ["row 2", "test/a.jpg has no image"]),
    "image without row": (HEADER + b"a,clear\nb,haze\n", ["no row for 1", "007.jpg"]),
    "row twice": (HEADER + b"a,clear\nb,haze\na,haze\n", ["row 4", "already in row 2"]),
    "row twice, once with ending": (HEADER + b"a,clear\na.jpg,haze\n", ["row 3", "already in row 2"]),
    "row twice, blank line between": (HEADER + b"a,clear\n\na,haze\n", ["row 4", "already in row 2"]),
    "no rows": (HEADER, ["no rows"]),
    "blank rows only": (HEADER + b"\n\r\n\n", ["no rows"]),
    "empty file": (b"", ["not a CSV"]),
    "tags separated by commas": (
        HEADER + b"a,clear,road\nb,haze,road\n",
        ["row 2", "3 values for 2 columns"],
    ),
    "row cut off": (HEADER + b"a,clear\nb\n", ["row 3", "1 values for 2 columns"]),
    "quote that is not closed": (HEADER + b'a,clear\n"b,haze\n007,clear\n', ["row 3", "not a CSV"]),
    "text after a quote": (HEADER + b'"a"b,clear\n', ["row 2", "not a CSV"]),
    "Latin-1": (HEADER + "a,clear\nb,größe\n".encode("latin-1"), ["UTF-8"]),
    "UTF-16": ("image_name,tags\na,clear\n".encode("utf-16"), ["UTF-8"]),
    "NUL bytes": (HEADER + b"a\0,clear\n", ["row 2"]),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["UTF-8"]),
}


@pytest.mark.parametrize(("table", "named"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_file_and_row(table: bytes, named: list[str], folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(table, folder)
    message = str(caught.value)
    assert message.startswith(str(folder.parent / "labels.csv"))
    assert all(part in message for part in named), message


def test_a_name_of_two_images_is_refused(folder: Path) -> None:
    (folder / "a.png").touch()
    with pytest.raises(DataError, match=r"row 2: a may mean any of a\.jpg, a\.png"):
        read(HEADER + b"a,clear\nb,haze\n007,haze\n", folder)
    assert len(read(HEADER + b"a.jpg,clear\na.png,haze\nb,haze\n007,haze\n", folder)) == 4


def test_no_such_table(folder: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: there is no such file"):
        read_tags(folder.parent / "labels.csv", folder)


def test_no_such_folder(folder: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        read(HEADER + b"a,clear\n", folder.parent / "nowhere")


# Scripts of all kinds, spaces, commas, quotes, numbers, and what pandas takes for a missing value.
LETTERS = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs", "Cc"))
STEMS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=8).filter(
        lambda name: not name.startswith(".") and not name.endswith(".jpg")
    ),
    st.integers(-5, 2000).map(str),
    st.integers(0, 99).map("{:05}".format),
    st.sampled_from(
        ["NA", "nan", "None", "1e5", "True", "a b", " a", "a,b", 'a"b', "a.1", "tags", "image_name", "é"]
    ),
)
TAGS = st.text(LETTERS, min_size=1, max_size=6).filter(lambda tag: tag.split() == [tag])
ROWS = st.dictionaries(STEMS, st.lists(TAGS, min_size=1, max_size=4, unique=True), min_size=1, max_size=6)


@given(
    rows=ROWS,
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    ending=st.booleans(),
    extra=st.booleans(),
    blank=st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_any_table_that_csv_writes_is_read_back(
    rows: dict[str, list[str]],
    line_end: str,
    quoting: int,
    encoding: str,
    ending: bool,
    extra: bool,
    blank: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=line_end)
    writer.writerow(["note"] * extra + ["image_name", "tags"])
    for number, (stem, tags) in enumerate(rows.items()):
        text.write(line_end * (blank == number))
        writer.writerow(["x"] * extra + [stem + ".jpg" * ending, " ".join(tags)])
    text.write(line_end * blank)
    with tempfile.TemporaryDirectory() as work:
        images = Path(work) / "images"
        images.mkdir()
        for stem in rows:
            (images / f"{stem}.jpg").touch()
        expected = [(f"{stem}.jpg", tags) for stem, tags in rows.items()]
        assert read(text.getvalue().encode(encoding), images) == expected


PIECES = st.one_of(
    st.sampled_from(
        [b"a", b"b.jpg", b"007", b"7", b"clear", b" ", b",", b"\n", b"\r\n", b"\r", b'"', b"\0", b";"]
    ),
    st.sampled_from(
        [b"\nimage_name,tags\n", codecs.BOM_UTF8, codecs.BOM_UTF16, b"\xe9", b"\xff", b"\xc3\xa9"]
    ),
    st.binary(max_size=4),
)


@given(
    header=st.sampled_from(
        [b"", HEADER, b"tags,image_name\r", b"image_name,tags,tags\n", b"x,image_name,tags\n"]
    ),
    pieces=st.lists(PIECES, max_size=25),
    encoding=st.sampled_from(["", "", "", "utf-16", "utf-32", "utf-7", "cp037"]),
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(header: bytes, pieces: list[bytes], encoding: str) -> None:
    table = header + b"".join(pieces)
    if encoding:
        table = table.decode("latin-1").encode(encoding)
    with tempfile.TemporaryDirectory() as work:
        images = Path(work) / "images"
        images.mkdir()
        for name in ("a.jpg", "b.jpg", "007.jpg"):
            (images / name).touch()
        try:
            rows = read(table, images)
        except DataError:
            return
        else:
            assert sorted(name for name, _ in rows) == ["007.jpg", "a.jpg", "b.jpg"]
            assert all(tags for _, tags in rows)
