"""What the columns of a table are is found from names and values, or asked for in one message."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.data.label_columns import describe_columns, find_columns
from visionkit.data.label_tables import read_label_table, validation_rows
from visionkit.data.table_settings import TableSettings
from visionkit.errors import DataError, UsageError

SIX = [f"{number}.jpg" for number in range(6)]


def data(root: Path, text: str, images: list[str] = SIX, folder: str = "", name: str = "t.csv") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for image in images:
        (root / folder / image).parent.mkdir(parents=True, exist_ok=True)
        (root / folder / image).touch()
    (root / name).write_text(text, encoding="utf-8")
    return root


def table(header: str, *values: str, separator: str = ",") -> str:
    rows = [f"{number}.jpg{separator}{value}" for number, value in enumerate(values)]
    return "\n".join([header, *rows]) + "\n"


def found(root: Path, **options: Any) -> Any:
    return find_columns(root, TableSettings(**options))


def read(root: Path, **options: Any) -> dict[str, Any]:
    rows = read_label_table(root, TableSettings(**options)).rows
    return {row.path.relative_to(root).as_posix(): row.label for row in rows}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("folder", ["", "photos", "a/b"])
def test_columns_separator_and_folder_are_found(separator: str, folder: str, tmp_path: Path) -> None:
    text = table(separator.join(["file", "animal"]), *["cat", "dog"] * 3, separator=separator)
    data(tmp_path, text, folder=folder)
    columns = found(tmp_path)
    assert (columns.image, columns.labels, columns.many) == ("file", ("animal",), False)
    assert columns.folder == tmp_path / folder
    assert "one label in 'animal'" in describe_columns(columns, tmp_path)
    assert list(read(tmp_path).values()) == ["cat", "dog"] * 3


def test_any_order_and_names_without_endings(tmp_path: Path) -> None:
    rows = [f"{number},{number % 2},9.{number}" for number in range(6)]
    data(tmp_path, "\n".join(["id,label,score", *rows]))
    assert read(tmp_path) == {f"{number}.jpg": str(number % 2) for number in range(6)}


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    """003 is not 3, nor is 1e5 100000.0; quotes hold separators."""
    images = ["003.jpg", "1e5.jpg", "a,b.jpg"]
    data(tmp_path, 'name,label\n003,007\n1e5,3.0\n"a,b.jpg","red, hot"\n', images)
    assert read(tmp_path) == {"003.jpg": "007", "1e5.jpg": "3.0", "a,b.jpg": "red, hot"}


@pytest.mark.parametrize(
    ("delimiter", "values"),
    [
        ("|", ["a|b", "b", "a", "b|c", "c", "a"]),
        (";", ["a;b", "b", "a", "b; c", "c", "a"]),
        (",", ['"a,b"', '"b"', '"a, b,c"', '"b,c"', '"c"', '"a,c"']),
        (" ", ["a b", "b", "a b c", "b c", "c", "a c"]),
    ],
)
def test_many_labels_are_found(delimiter: str, values: list[str], tmp_path: Path) -> None:
    data(tmp_path, table("file,what", *values))
    columns = found(tmp_path)
    assert (columns.many, columns.delimiter) == (True, delimiter)
    wanted = [[part.strip() for part in value.strip('"').split(delimiter)] for value in values]
    assert list(read(tmp_path).values()) == wanted
    assert set(map(type, read(tmp_path, labels="one").values())) == {str}


def test_names_of_two_words_are_one_label(tmp_path: Path) -> None:
    data(tmp_path, table("file,breed", *["golden retriever", "great dane", "red setter"] * 2))
    assert not found(tmp_path).many
    columns = found(tmp_path, label_delim="space")
    assert columns.many and columns.delimiter == " "


def test_columns_of_0_and_1_are_tags(tmp_path: Path) -> None:
    data(tmp_path, table("file,sun,sea", "1,0", "0,0", "1,1", "0,1", "true,False", "1.0,0.0"))
    columns = found(tmp_path)
    assert (columns.labels, columns.many) == (("sun", "sea"), True)
    assert list(read(tmp_path).values()) == [["sun"], [], ["sun", "sea"], ["sea"], ["sun"], ["sun"]]
    assert read_label_table(tmp_path, TableSettings()).vocab == ["sun", "sea"]


def test_columns_of_which_exactly_one_is_1_are_one_label(tmp_path: Path) -> None:
    data(tmp_path, table("file,sun,sea", "1,0", "0,1", "1,0", "0,1", "1,0"))
    assert list(read(tmp_path).values()) == ["sun", "sea", "sun", "sea", "sun"]
    assert list(read(tmp_path, labels="many").values())[:2] == [["sun"], ["sea"]]


def test_a_table_without_a_header_has_columns_by_number(tmp_path: Path) -> None:
    data(tmp_path, "0.jpg,a,x\n1.jpg,b,x\n2.jpg,a,y\n")
    assert read(tmp_path, label_column=("2",)) == {"0.jpg": "a", "1.jpg": "b", "2.jpg": "a"}
    with pytest.raises(DataError, match=r"no header.*'2', '3'.*--label-column"):
        found(tmp_path)
    data(tmp_path, "a,0.jpg\nb,1.jpg\n")
    assert read(tmp_path) == {"0.jpg": "a", "1.jpg": "b"}
    assert "no header" in describe_columns(found(tmp_path), tmp_path)
    data(tmp_path, "\n0,a\n1,b\n2,a\n")  # no ending tells
    with pytest.raises(DataError, match=r"first row.*names an image, '0'.*such as image,label"):
        read(tmp_path)


def test_whole_paths_into_the_folder_are_read(tmp_path: Path) -> None:
    data(tmp_path, "", folder="photos")
    rows = [f"{tmp_path}/photos/{number}.jpg,{'ab'[number % 2]}" for number in range(6)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    assert list(read(tmp_path)) == [f"photos/{number}.jpg" for number in range(6)]
    rows[2] = f"{tmp_path}/photos/22.jpg,a"
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"row 4: (photos/)?22\.jpg has no image"):
        read(tmp_path)
    rows[2] = "/elsewhere/3.jpg,b"
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"row 4: /elsewhere/3\.jpg lies outside"):
        read(tmp_path)


def test_endings_in_capitals_are_the_same(tmp_path: Path) -> None:
    """Cameras write IMG_1.JPG, and tables say IMG_1.jpg."""
    data(tmp_path, "file,label\n0.jpg,a\n1.JPG,b\n2.jpg,a\n", ["0.JPG", "1.JPG", "2.Jpg"])
    assert read(tmp_path) == {"0.JPG": "a", "1.JPG": "b", "2.Jpg": "a"}
    data(tmp_path, "file,label\n0.JPG,a\n2.JPG,a\n", ["2.jpG"])
    with pytest.raises(DataError, match=r"row 3: 2\.JPG may mean any of 2\.Jpg, 2\.jpG"):
        read(tmp_path)


@pytest.mark.parametrize("column", ["class_name", "Breed Name", "label_names"])
def test_names_of_label_columns(column: str, tmp_path: Path) -> None:
    data(tmp_path, table(f"file,width,{column}", *["9,cat", "8,dog"] * 3))
    assert found(tmp_path).labels == (column,)


def test_a_column_called_split_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    data(tmp_path, table("file,label,split", *["a,train", "b,dev", "a,train", "b,train"]))
    assert found(tmp_path).part == "split"
    data(tmp_path, table("file,label,split", *["a,left", "b,right", "a,left", "b,left"]))
    columns = found(tmp_path)
    assert columns.part is None
    assert "'split' does not tell who validates ('left')" in describe_columns(columns, tmp_path)


def test_columns_of_which_one_is_1_may_be_one_label(tmp_path: Path) -> None:
    data(tmp_path, table("file,id,sun,sea", *["9,1,0", "9,0,1"] * 3))
    with pytest.raises(DataError, match=r"'id', 'sun', 'sea'.*--label-column"):
        found(tmp_path)
    options = {"label_column": ("sun", "sea"), "labels": "one"}
    assert list(read(tmp_path, **options).values()) == ["sun", "sea"] * 3
    data(tmp_path, table("file,id,sun,sea", *["9,1,0", "9,0,0"] * 3))
    with pytest.raises(DataError, match=r"row 3: 1\.jpg has no label"):
        read(tmp_path, **options)


@pytest.mark.parametrize(
    ("column", "values", "held"),
    [
        ("is_valid", ["True", "False", "0", "1", "", "no"], [0, 3]),
        ("split", ["train", "valid", "test", "val", "training", "train"], [1, 2]),
        ("split", ["train", "test", "test", "train", "train", "train"], [1, 2]),
    ],
)
def test_the_column_of_parts(column: str, values: list[str], held: list[int], tmp_path: Path) -> None:
    data(
        tmp_path,
        table(f"file,label,{column}", *[f"{'ab'[at % 2]},{value}" for at, value in enumerate(values)]),
    )
    read_table = read_label_table(tmp_path, TableSettings())
    assert read_table.columns.part == column
    assert validation_rows(read_table.rows)[1] == held
    assert len(read_table.rows) + read_table.left_out == 6


def test_images_without_a_row_are_left_out_and_counted(tmp_path: Path) -> None:
    data(tmp_path, table("file,label", "a", "b", "a"))
    read_table = read_label_table(tmp_path, TableSettings())
    assert (len(read_table.rows), read_table.without_row) == (3, 3)


TWO = table("file,label", *"ababab")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (TWO, {"image_column": "fiel"}, ["--image-column fiel", "'file'"]),
        (TWO, {"label_column": ("lable",)}, ["--label-column lable", "'label'"]),
        (TWO, {"folder": "nowhere"}, ["--folder nowhere"]),
        (TWO, {"csv": "other.csv"}, ["--csv other.csv", "no such file"]),
        (TWO, {"label_column": ("file",)}, ["--label-column file", "names the images"]),
        (table("file,price", *map(str, range(6))), {}, ["'price'", "a different label in every row", "'0'"]),
        (table("file,kind,colour,size", *["a,b,c"] * 6), {}, ["'kind'", "--label-column"]),
        ("file,label\nx.jpg,a\ny.jpg,b\n", {}, ["none of the columns 'file', 'label'", "x.jpg"]),
        ("file,label\n", {}, ["no rows"]),
        ("file,thumb,label\n0.jpg,1.jpg,a\n1.jpg,2.jpg,b\n", {"image_column": ""}, ["label"]),
        ("file|label\n0.jpg|a\n1.jpg|b\n", {}, ["file|label", "--image-column"]),
        ("file,label\n0.jpg,a\n1.jpg\n", {}, ["row 3", "1 values for 2 columns"]),
        ("file,label\n0.jpg,a\n1.jpg,\n", {}, ["row 3", "1.jpg has no label"]),
        ("file,label\n0.jpg,a\n0.jpg,b\n", {}, ["row 3", "already in row 2"]),
        ("file,label\n0.jpg,a\n7.jpg,b\n", {}, ["row 3", "7.jpg has no image"]),
        ("file,label\n0.jpg,a\n../1.jpg,b\n", {}, ["row 3", "lies outside"]),
        ("file,label,split\n0.jpg,a,train\n1.jpg,b,maybe\n", {"valid_column": "split"}, ["row 3", "maybe"]),
        ("file,a,b\n0.jpg,1,2\n", {"label_column": ("a", "b")}, ["'b'", "'2'", "0 or 1"]),
        ("file,file,label\n0.jpg,0.jpg,a\n", {}, ["several columns 'file'"]),
    ],
)  # fmt: skip
def test_one_message(text: str, options: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    data(tmp_path, text)
    if words == ["label"]:  # two columns name images; one of them is called as such columns are
        assert found(tmp_path).image == "file"
        return
    with pytest.raises((DataError, UsageError)) as caught:
        read(tmp_path, **options)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_bar_between_columns_is_given(tmp_path: Path) -> None:
    data(tmp_path, "file|label\n0.jpg|a\n1.jpg|b\n")
    assert read(tmp_path, separator="pipe") == {"0.jpg": "a", "1.jpg": "b"}


def test_two_tables_or_two_folders_are_asked_for(tmp_path: Path) -> None:
    data(tmp_path, TWO, folder="one")
    data(tmp_path, TWO, folder="two")
    with pytest.raises(DataError, match=r"one, two.*--folder"):
        found(tmp_path)
    assert found(tmp_path, folder="two").folder == tmp_path / "two"
    data(tmp_path, TWO, folder="two", name="u.csv")
    with pytest.raises(UsageError, match=r"there are 2 tables in it, t.csv, u.csv.*--csv"):
        found(tmp_path)
    assert found(tmp_path, csv="u.csv", folder="two").table.file.name == "u.csv"


NAME = st.text("abcdefgh_ äé", min_size=1, max_size=5).filter(lambda name: name.strip() == name)
LABEL = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6).filter(
    lambda label: not set(label) & set("|;, ") and label.strip()
)


@given(
    names=st.lists(NAME, min_size=3, max_size=8, unique=True),
    labels=st.lists(LABEL, min_size=2, max_size=4, unique=True),
    separator=st.sampled_from(",;\t"),
    swapped=st.booleans(),
    draw=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(
    names: list[str],
    labels: list[str],
    separator: str,
    swapped: bool,
    draw: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("set")
    wanted = {f"{name}.png": draw.draw(st.sampled_from(labels)) for name in names}
    data(root, "", list(wanted), folder="pictures")
    with (root / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        for row in [("image", "label"), *wanted.items()]:
            writer.writerow(row[::-1] if swapped else row)
    assert read(root) == {f"pictures/{name}": label for name, label in wanted.items()}
