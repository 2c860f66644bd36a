"""Charts and pictures of pages: whatever the values are, what is drawn lies inside; pictures have room."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visionkit.progress import duration
from visionkit.report.charts import LEFT, LETTER, MOST_POINTS, RIGHT, WIDTH, Line, chart, short
from visionkit.report.pictures import SIDE, Album

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40)


@given(VALUES, st.booleans(), st.booleans())
def test_everything_lies_inside(values: list[float], whole: bool, from_zero: bool) -> None:
    line = Line("a", range(1, len(values) + 1), values, 0)
    drawn = chart("c", "t", [line], x_label="x", y_label="y", whole=whole, from_zero=from_zero)
    finite = [value for value in values if abs(value) < 1e300]
    if not finite:
        assert drawn is None
        return
    assert drawn is not None
    only = drawn.lines[0]
    assert len(only.dots) == len(only.values) == len(finite)
    for x, y in only.dots:
        assert LEFT <= x <= WIDTH - RIGHT and drawn.top <= y <= drawn.bottom
    for tick in drawn.x_ticks:
        assert LEFT <= tick.at <= WIDTH - RIGHT and (not whole or tick.label.replace(",", "").isdigit())
    assert all(drawn.top <= tick.at <= drawn.bottom for tick in drawn.y_ticks)
    assert json.loads(json.dumps(drawn.data, allow_nan=False))


@given(st.lists(st.tuples(st.integers(1, 40), st.text("px frozen", max_size=30)), max_size=12))
def test_words_at_marks_are_inside_and_beside_each_other(marks: list[tuple[int, str]]) -> None:
    line = Line("a", range(1, 41), range(1, 41), 0)
    drawn = chart("c", "t", [line], x_label="x", y_label="y", marks=sorted(marks))
    assert drawn is not None and len(drawn.marks) == len(marks)
    taken = 0.0
    for mark in drawn.marks:
        if mark.label:
            width = LETTER * len(mark.label)
            start = mark.word_at - (width if mark.anchor == "end" else 0)
            assert taken <= start and start + width <= WIDTH
            taken = start + width


def test_the_word_of_a_last_stage_of_one_epoch_is_whole() -> None:
    line = Line("a", (1, 2, 3), (1, 2, 3), 0)
    marks = [(1.0, "64 px"), (3.0, "96 px")]
    drawn = chart("c", "t", [line], x_label="x", y_label="y", whole=True, marks=marks)
    assert drawn is not None
    assert [(mark.label, mark.anchor) for mark in drawn.marks] == [("64 px", "start"), ("96 px", "end")]


def test_long_lines_are_thinned_and_keep_their_ends() -> None:
    values = np.linspace(5, 1, 10_000).tolist()
    drawn = chart("c", "t", [Line("a", range(10_000), values, 0, dots=False)], x_label="x", y_label="y")
    assert drawn is not None
    only = drawn.lines[0]
    assert len(only.values) == MOST_POINTS and not only.dots
    assert only.values[0] == [0, 5] and only.values[-1] == [9999, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (12000, "12,000"),
        (3e-7, "3e-07"),
        (-1.5, "-1.5"),
        (1e9, "1e+09"),
        (math.nan, ""),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.34, "2.3 s"), (58.2, "58 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min"), (math.inf, "not known")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_album_has_each_picture_once_and_stops_where_there_is_no_room(tmp_path: Path) -> None:
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    album = Album(10**6)
    first = album.photo(tmp_path / "0.png")
    assert first is not None and (first.width, first.height) == (SIDE, SIDE * 3 // 4)
    assert album.photo(tmp_path / "0.png") is first and len(album.pictures) == 1
    assert album.photo(tmp_path / "gone.png") is None, "a page does without"
    small = Album(len(first.source) + 10)
    kept = [small.photo(tmp_path / f"{number}.png") for number in range(4)]
    assert kept[0] is not None and kept[1:] == [None] * 3
    assert sum(len(picture.source) for picture in small.pictures) <= len(first.source) + 10
