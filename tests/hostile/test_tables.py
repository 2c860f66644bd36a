"""Hostile tables, lists and texts: a message or an answer, in bounds of time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.children import ask, run_cases
from hostile.image_cases import check_message
from hostile.table_cases import READERS, images_in, table_case
from hostile.watch import time_limit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionkit.checks.facts import ImageFacts
from visionkit.checks.labels import similar_names
from visionkit.checks.points import point_problems
from visionkit.data.class_maps import parse_colour, read_class_map
from visionkit.data.label_tables import read_label_table
from visionkit.data.lookup import ImageLookup
from visionkit.data.mask_codes import meaning_of_masks
from visionkit.data.masks import read_codes
from visionkit.data.splits import listed_split
from visionkit.data.splitting import split_images
from visionkit.data.table_settings import TableSettings
from visionkit.data.tags import read_tags
from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.settings import TrainSettings

MARKS = "\u0315\u0300"
"""Two accents, of which the first belongs behind the second."""


def test_short_program() -> None:
    assert "200 cases of tables" in run_cases("tables", 0, 200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200), reader=st.sampled_from(READERS))
def test_any_text_is_read_or_refused(text: str, reader: tuple, tmp_path: Path) -> None:
    name, _, read = reader
    images_in(tmp_path)
    file = tmp_path / name
    file.write_bytes(text.encode("utf-8", "replace"))
    try:
        with time_limit():
            read(file, tmp_path)
    except VisionkitError as error:
        check_message(error)
    finally:
        file.unlink()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    separator=st.sampled_from(("", "ab", '"', "\n", "\r", "\0", "é", "tab", " ")),
    delimiter=st.sampled_from(("", " ", "ab", "\n", "pipe")),
    column=st.sampled_from(("", "label", "image", "nope", "\x1b[31m")),
    folder=st.sampled_from(("", ".", "..", "night", "/dev", "a.jpg", "no\x07")),
)
def test_odd_options_for_tables_are_refused_or_heeded(
    separator: str, delimiter: str, column: str, folder: str, tmp_path: Path
) -> None:
    images_in(tmp_path)
    (tmp_path / "t.csv").write_text("image,label\na.jpg,x\nb.jpg,y\n")
    options = {"separator": separator, "label_delim": delimiter, "image_column": column, "folder": folder}
    try:
        table = read_label_table(tmp_path, TableSettings.model_validate({**options, "csv": "t.csv"}))
    except VisionkitError as error:
        check_message(error)
    else:
        assert len(table.rows) == 2


def test_very_many_columns_are_refused_at_once(tmp_path: Path) -> None:
    images_in(tmp_path)
    file = tmp_path / "wide.csv"
    names = ",".join(f"c{number}" for number in range(1_000_000))
    file.write_text(f"image_name,tags,{names}\n")
    for read in (
        lambda: read_tags(file, tmp_path),
        lambda: read_label_table(tmp_path, TableSettings(csv=file)),
    ):
        with time_limit(), pytest.raises(DataError, match="1,000,002 columns"):
            read()


def test_wide_tables_are_read_in_bounds(tmp_path: Path) -> None:
    """5,000 rows of 9,000 columns: 45 million values, of which not all are taken to look at."""
    images_in(tmp_path)
    file = tmp_path / "wide.csv"
    with file.open("w") as lines:
        lines.write(",".join(["image", *(f"c{number}" for number in range(9_000))]) + "\n")
        for number in range(800):
            lines.write(",".join([f"{number}.jpg", *["12"] * 9_000]) + "\n")
    code = (
        "from visionkit.data.label_tables import read_label_table\n"
        "from visionkit.data.table_settings import TableSettings\n"
        "try: read_label_table(path.parent, TableSettings(csv=path))\n"
        "except VisionkitError as error: print(error)"
    )
    assert "none of the columns" in ask(code, str(file))


def test_names_of_very_many_accents_do_not_hold_up(tmp_path: Path) -> None:
    images_in(tmp_path)
    long = MARKS * 60_000
    with time_limit():
        assert ImageLookup(tmp_path).find(long) == []
        assert similar_names([long, long + "x", "cat", "Cat"]) == [("Cat", "cat")]
        file = tmp_path / "t.csv"
        file.write_text(f"image_name,tags\na.jpg,{long}\n{long},sun\n", encoding="utf-8")
        with pytest.raises(DataError) as refused:
            read_tags(file, tmp_path)
        check_message(refused.value)


def test_codes_that_a_mask_cannot_hold_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "codes.txt"
    file.write_text("".join(f"code {number}\n" for number in range(257)))
    with pytest.raises(DataError, match="257 codes found; masks can tell 256 apart"):
        read_codes(file)
    file.write_text("".join(f"{number}\n" for number in range(120_000)))
    with time_limit(), pytest.raises(DataError, match="120,000 codes"):
        read_codes(file)
    file.write_text("x\n" * 600_000)
    with pytest.raises(DataError, match=r"larger than 1\.0 MB"):
        read_codes(file)
    file.write_text("x" * 5_000 + "\n" + "x" * 5_000 + "\n")
    with pytest.raises(DataError) as twice:
        read_codes(file)
    check_message(twice.value)
    rows = "".join(f"class {number},{number // 256},{number % 256},0\n" for number in range(257))
    (tmp_path / "map.csv").write_text(f"name,r,g,b\n{rows}")
    with pytest.raises(DataError, match="257 classes"):
        read_class_map(tmp_path / "map.csv")


@pytest.mark.parametrize("entry", ["9" * 5_000, "²", "#+1234f", "#-00001", "#1_2_3_", "#12345", "\x1b[31m"])
def test_what_names_no_code_cannot_be_left_out(entry: str, tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("Sky\nRoad\n")
    assert parse_colour(entry) is None
    with pytest.raises(UsageError, match="--ignore"):
        meaning_of_masks(tmp_path, [], tmp_path / "codes.txt", [entry])


def test_lists_without_an_end_are_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "zeros.txt").symlink_to("/dev/zero")
    with time_limit(), pytest.raises(DataError):
        listed_split(tmp_path / "zeros.txt", [], tmp_path)
    sparse = tmp_path / "sparse.txt"
    with sparse.open("wb") as file:
        file.truncate(20 * 10**9)
    code = (
        "from visionkit.data.splits import listed_split\n"
        "from visionkit.data.skipping import read_skip_list\n"
        "reads = (lambda: listed_split(path, [], path.parent), lambda: read_skip_list(path, path.parent))\n"
        "for read in reads:\n"
        "    try: read()\n"
        "    except VisionkitError as error: print(error)"
    )
    assert ask(code, str(sparse)).count("larger than 256.0 MB") == 2


@pytest.mark.slow
def test_an_expression_that_never_ends_is_given_up(tmp_path: Path) -> None:
    images = [tmp_path / f"{'a' * 60}{number}.jpg" for number in range(4)]
    wanted = TrainSettings(group_by="(a+)+$", split="random")
    with time_limit(), pytest.raises(UsageError, match="takes too long"):
        split_images(wanted, images, ["x"] * 4, tmp_path, lambda: ([0], [1]))


def test_points_of_any_kind_are_told_of_shortly() -> None:
    facts = ImageFacts(Path("/d/a.jpg"), width=40, height=30, format="JPEG")
    for target in ([(1e308, 0.0)], [(10**400, 1)], [(float("nan"), 1)], [("x", 1)], [[1]], None, [(-5, 2)]):
        problems = point_problems([facts, facts], [target, target], Path("/d"))
        assert problems and all(len(each.message) < 300 for each in problems)


@pytest.mark.parametrize("name", ["tags.csv", "valid.txt", "codes.txt"])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    import os

    images_in(tmp_path)
    read = next(read for each, _, read in READERS if each == name)
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("gone", path)):
        make(tmp_path / name)
        with time_limit(), pytest.raises(DataError, match="no such file"):
            read(tmp_path / name, tmp_path)
        os.rmdir(tmp_path / name) if (tmp_path / name).is_dir() else os.unlink(tmp_path / name)


@pytest.mark.parametrize("seed", [1756, 2436, 5544])
def test_cases_that_broke_once(seed: int, tmp_path: Path) -> None:
    with time_limit():
        table_case(seed, tmp_path)
