"""FashionAI's annotations: rows, labels of letters, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionkit.data.fashionai import VALUES, parse_label, read_annotations
from visionkit.data.problems import gathering, skipping
from visionkit.errors import DataError

TABLE = "base/Annotations/label.csv"
PLACE = "skirt_length_labels"


def rewrite(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = folder / TABLE
    file.write_text("\n".join(change(file.read_text().split("\n"))))


def test_values_and_maybes_in_the_order_of_the_rows(fashion: Path) -> None:
    found = read_annotations(fashion, "skirt_length")
    assert [image.path.name for image in found] == [f"{number}.jpg" for number in range(30)]
    assert [image.value for image in found[:3]] == ["Knee", "Short", "Floor"]
    assert [image.maybe for image in found[:3]] == [(), ("Knee",), ()]
    assert [image.value for image in read_annotations(fashion, "pant_length")] == ["Full", "Invisible"]


def test_other_places_of_the_table(fashion: Path) -> None:
    expected = read_annotations(fashion, "skirt_length")
    assert read_annotations(fashion / "base", "skirt_length") == expected
    (fashion / TABLE).rename(fashion / "label.csv")
    assert read_annotations(fashion, "skirt_length") == expected
    (fashion / "base" / "Images").rename(fashion / "Images")
    assert [image.value for image in read_annotations(fashion, "skirt_length")] == [
        image.value for image in expected
    ]
    (fashion / "label.csv").unlink()
    with pytest.raises(DataError, match=r"label\.csv is there.*tianchi"):
        read_annotations(fashion, "skirt_length")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(fashion: Path, separator: str) -> None:
    expected = read_annotations(fashion, "skirt_length")
    rewrite(fashion, lambda rows: [row.replace(",", separator) for row in rows])
    assert read_annotations(fashion, "skirt_length") == expected


SPOILT: dict[str, tuple[str, list[str]]] = {
    "two y": (f"Images/{PLACE}/3.jpg,{PLACE},nyynnn", ["row 4", "'nyynnn'", "2 y", "one"]),
    "no y": (f"Images/{PLACE}/3.jpg,{PLACE},nmnnnn", ["row 4", "no y"]),
    "too short": (f"Images/{PLACE}/3.jpg,{PLACE},nynnn", ["row 4", "5 letters for 6 values"]),
    "too long": (f"Images/{PLACE}/3.jpg,{PLACE},nynnnnn", ["row 4", "7 letters for 6 values"]),
    "no label": (f"Images/{PLACE}/3.jpg,{PLACE},", ["row 4", "0 letters"]),
    "unknown letter": (f"Images/{PLACE}/3.jpg,{PLACE},nxynnn", ["row 4", "letter 'x'"]),
    "capitals": (f"Images/{PLACE}/3.jpg,{PLACE},NNYNNN", ["row 4", "letter 'N'"]),
    "missing image": (f"Images/{PLACE}/no.jpg,{PLACE},nnynnn", ["row 4", "no.jpg", "no image"]),
    "outside": (f"Images/{PLACE}/../x.jpg,{PLACE},nnynnn", ["row 4", "../x.jpg", "no image"]),
    "other folder": (f"Images/pant_length_labels/0.jpg,{PLACE},nnynnn", ["row 4", "no image"]),
    "twice": (f"Images/{PLACE}/1.jpg,{PLACE},nnynnn", ["row 4", "already in row 2"]),
    "two values": (f"Images/{PLACE}/3.jpg,{PLACE}", ["row 4", "2 values, and not 3"]),
    "unknown attribute": (
        f"Images/{PLACE}/3.jpg,skirt_lenght_labels,nnynnn",
        ["row 4", "'skirt_lenght_labels'", "'skirt_length_labels'"],
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_wrong_rows(fashion: Path, case: str) -> None:
    row, words = SPOILT[case]
    rewrite(fashion, lambda rows: [*rows[:3], row, *rows[4:]])
    with pytest.raises(DataError) as error:
        read_annotations(fashion, "skirt_length")
    for word in ["label.csv", *words]:
        assert word in str(error.value)
    with gathering() as problems:
        kept = read_annotations(fashion, "skirt_length")
    assert len(kept) == 29, "the others are read on"
    assert str(error.value) in {problem.message for problem in problems}


def test_an_image_without_a_row(fashion: Path) -> None:
    rewrite(fashion, lambda rows: [*rows[:3], *rows[4:]])
    with pytest.raises(DataError, match=r"no row for 1 of the images.*3\.jpg"):
        read_annotations(fashion, "skirt_length")
    with skipping(frozenset({fashion / "base" / "Images" / PLACE / "3.jpg"})):
        assert len(read_annotations(fashion, "skirt_length")) == 29


def test_a_skipped_image_leaves_out_its_row(fashion: Path) -> None:
    rewrite(fashion, lambda rows: [*rows[:3], rows[3].replace("nnynnn", "yyyyyy"), *rows[4:]])
    with skipping(frozenset({fashion / "base" / "Images" / PLACE / "3.jpg"})):
        assert len(read_annotations(fashion, "skirt_length")) == 29


def test_no_row_of_the_attribute(fashion: Path) -> None:
    with pytest.raises(
        DataError, match=r"no row for coat_length_labels.*rows for pant_length_labels, skirt_length_labels"
    ):
        read_annotations(fashion, "coat_length")


def test_no_table_and_an_empty_one(fashion: Path) -> None:
    (fashion / TABLE).write_text("\n")
    with pytest.raises(DataError, match="empty"):
        read_annotations(fashion, "skirt_length")
    (fashion / TABLE).write_bytes(b"Images/\xff.jpg,skirt_length_labels,nnynnn\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_annotations(fashion, "skirt_length")


@given(st.data())
def test_a_label_reads_as_it_is_written(data: st.DataObject) -> None:
    values = VALUES[data.draw(st.sampled_from(sorted(VALUES)))]
    letters = data.draw(st.lists(st.sampled_from("nm"), min_size=len(values), max_size=len(values)))
    place = data.draw(st.integers(0, len(values) - 1))
    letters[place] = "y"
    label = parse_label("".join(letters), len(values))
    assert label.value == place
    written = ["n"] * len(values)
    for maybe in label.maybe:
        written[maybe] = "m"
    written[label.value] = "y"
    assert written == letters


@given(st.text(max_size=12), st.integers(1, 10))
def test_anything_else_is_refused(letters: str, count: int) -> None:
    good = len(letters) == count and set(letters) <= set("nmy") and letters.count("y") == 1
    if good:
        assert letters[parse_label(letters, count).value] == "y"
    else:
        with pytest.raises(ValueError, match=r"letter|y, and"):
            parse_label(letters, count)


def test_eight_attributes_of_distinct_values() -> None:
    assert {name: len(values) for name, values in VALUES.items()} == {
        "skirt_length": 6,
        "sleeve_length": 9,
        "pant_length": 6,
        "coat_length": 8,
        "collar_design": 5,
        "lapel_design": 5,
        "neck_design": 5,
        "neckline_design": 10,
    }
    for values in VALUES.values():
        assert len(set(values)) == len(values) and values[0] == "Invisible"
