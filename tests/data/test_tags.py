"""A table of tags is read exactly, or refused with a message that names file and row."""

from __future__ import annotations

import codecs
import csv
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.data.problems import gathering, skipping
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
    "semicolons": b"image_name;tags\nb;haze\na;clear road\n007;clear\n",
    "tabs": b"image_name\ttags\nb\thaze\na\tclear road\n007\tclear\n",
    "quoted header with semicolons": b'"image_name";"tags"\nb;haze\na;clear road\n007;clear\n',
    "Excel's line of the separator": b"sep=;\r\nimage_name;tags\r\nb;haze\r\na;clear road\r\n007;clear\r\n",
    "another separator": b"sep=|\nimage_name|tags\nb|haze\na|clear road\n007|clear\n",
    "Excel's Unicode text": "image_name\ttags\r\nb\thaze\r\na\tclear road\r\n007\tclear\r\n".encode("utf-16"),
    "UTF-16, big-endian": codecs.BOM_UTF16_BE
    + "image_name,tags\nb,haze\na,clear road\n007,clear\n".encode("utf-16-be"),
    "rows of spaces and of empty values": b"  \n"
    + HEADER
    + b"b,haze\n , \na,clear road\n,\n  \n007,clear\n\t\n",
    "spaces around columns": b" image_name , tags \nb,haze\na,clear road\n007,clear\n",
    "spaces around names": HEADER + b" b ,haze\na.jpg ,clear road\n 007,clear\n",
    "names that begin at the folder": HEADER + b"./b,haze\n.\\a.jpg,clear road\n.//007,clear\n",
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
    "no known column": (b"a;b\n1;2\n", ["'image_name'", "'tags'", "'a', 'b'", "comma, semicolon, tab"]),
    "columns in capitals": (b"Image_Name,Tags\na,clear\n", ["Rename 'Image_Name' to 'image_name'", "'Tags'"]),
    "another separator than said": (b"sep=;\nimage_name,tags\na,clear\n", ["separators tried: semicolon"]),
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
    "quote that is never closed": (
        HEADER + b'a,clear\n"' + b"b,haze\n" * 30_000,
        ["row 3", "a value of more than", "not closed"],
    ),
    "space before a quote": (
        HEADER + b'a, "clear road"\nb,haze\n007,clear\n',
        ["row 2", "a space stands before"],
    ),
    "image above the folder": (HEADER + b"../images/a.jpg,clear\n", ["row 2", "lies outside of"]),
    "image above the folder, as in Windows": (HEADER + b"..\\images\\a.jpg,clear\n", ["row 2", "outside"]),
    "image up and down": (HEADER + b"x/../a.jpg,clear\n", ["row 2", "outside"]),
    "absolute name": (HEADER + b"/etc/passwd,clear\n", ["row 2", "/etc/passwd lies outside of"]),
    "long name": (HEADER + b"x" * 5000 + b",clear\n", ["row 2", "x… has no image"]),
    "name with a line end": (HEADER + b'"a\nb",clear\n', ["row 2: 'a\\nb' has no image"]),
    "UTF-16 without byte order mark": (
        "image_name,tags\na,clear\n".encode("utf-16-le"),
        ["row 1", "NUL bytes"],
    ),
    "UTF-16 cut off": ("image_name,tags\na,clear\n".encode("utf-16")[:-1], ["UTF-16", "truncated"]),
    "UTF-32": ("image_name,tags\na,clear\n".encode("utf-32"), ["UTF-8"]),
    "NUL bytes": (HEADER + b"a\0,clear\n", ["row 2", "NUL bytes"]),
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


def test_reading_tags_loads_neither_torch_nor_fastai() -> None:
    code = "import sys, visionkit.data.tags; sys.exit(bool({'torch', 'fastai', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_table_that_is_a_folder(folder: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_tags(folder, folder)


def test_names_with_sub_folders(folder: Path) -> None:
    (folder / "night").mkdir()
    (folder / "night" / "a.jpg").touch()
    rows = HEADER + b"a,haze\nb,haze\n007,haze\n"
    assert len(read(rows, folder)) == 3  # what is below counts only where the table knows of it
    (folder.parent / "labels.csv").write_bytes(rows + b"night/a,clear\n")
    assert read_tags(folder.parent / "labels.csv", folder)[-1].path == folder / "night" / "a.jpg"
    (folder / "night" / "b.jpg").touch()
    with pytest.raises(DataError, match=r"no row for 1 .*: night/b\.jpg"):
        read(rows + b"night\\a.jpg,clear\n", folder)


def test_images_in_sub_folders_only(tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "day").mkdir(parents=True)
    (images / "day" / "a.jpg").touch()
    assert read(HEADER + b"day/a,clear\n", images) == [("a.jpg", ["clear"])]
    (images / "day" / "a.jpg").unlink()
    with pytest.raises(DataError, match="no images in this folder"):
        read(HEADER + b"day/a,clear\n", images)


def test_equal_tags_are_one_list_in_one_call_only(folder: Path) -> None:
    table = HEADER + b"a,clear road\nb,clear road\n007,clear road\n"
    (folder.parent / "labels.csv").write_bytes(table)
    first, second = (read_tags(folder.parent / "labels.csv", folder) for _ in range(2))
    assert first[0].tags is first[2].tags
    first[0].tags.append("changed")
    assert second[0].tags == ["clear", "road"] == read_tags(folder.parent / "labels.csv", folder)[0].tags


FAULTY = HEADER + b"a,clear\nc,haze\n,haze\nb,\na.jpg,haze\nb,x,y\nd,haze\n../e,haze\n"


def test_all_that_is_wrong_is_gathered(folder: Path) -> None:
    (folder / "d.jpg").touch()
    (folder / "d.png").touch()
    with gathering() as problems:
        assert read(FAULTY, folder) == [("a.jpg", ["clear"])]
    kinds = [
        "missing image",
        "no name",
        "no tags",
        "row twice",
        "row values",
        "ambiguous name",
        "missing image",
    ]
    assert [problem.kind for problem in problems] == [*kinds, "orphaned image"]
    files = [problem.files[0].name if problem.files else None for problem in problems]
    assert files == ["c", None, "b.jpg", "a.jpg", "b.jpg", "d", None, "007.jpg"]
    assert all(str(folder.parent / "labels.csv") in problem.message for problem in problems)


def test_a_faulty_file_is_refused_while_problems_are_gathered(folder: Path) -> None:
    with gathering(), pytest.raises(DataError, match="row 3: not a CSV file"):
        read(HEADER + b'a,clear\n"b,haze\n', folder)


def test_every_orphan_is_a_problem(folder: Path) -> None:
    with gathering() as problems:
        read(HEADER + b"a,clear\n", folder)
    assert [problem.files for problem in problems] == [(folder / "007.jpg",), (folder / "b.jpg",)]


def test_skipped_images_are_dropped_with_their_rows(folder: Path) -> None:
    (folder / "b.png").touch()
    with skipping(frozenset({folder / "007.jpg", folder / "b.png", folder / "c"})):
        # a row without tags, an ambiguous name, a missing image, an image without a row: all by skipped files
        assert read(HEADER + b"a,clear\n007,\nb,haze\nc,haze\n", folder) == [
            ("a.jpg", ["clear"]),
            ("b.jpg", ["haze"]),
        ]
        assert read(HEADER + b"a,clear\nb.jpg,haze\n", folder) == [("a.jpg", ["clear"]), ("b.jpg", ["haze"])]
        with pytest.raises(DataError, match="row 2: d has no image"):
            read(HEADER + b"d,clear\n", folder)
    with (
        skipping(frozenset(folder.iterdir())),
        pytest.raises(DataError, match="no row is left"),
    ):
        read(HEADER + b"a,clear\n007,clear\n", folder)


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
