"""Where boxes are cut, who waits for whose turn, which boxes are chosen: for any numbers."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.progress import Silence
from visionkit.sources.base import Store
from visionkit.sources.openimages import photos
from visionkit.sources.openimages.boxes import Box, Cut
from visionkit.sources.openimages.choose import Rules, choose_boxes
from visionkit.sources.openimages.metadata import Metadata
from visionkit.sources.openimages.photos import Turns, md5_of

SHARE = st.floats(0, 1)
SIDE = st.integers(1, 5000)


@given(st.tuples(SHARE, SHARE), st.tuples(SHARE, SHARE), SIDE, SIDE, SHARE, st.integers(1, 100))
def test_cuts_hold_the_box_and_stay_in_the_photo(
    across: tuple[float, float], down: tuple[float, float], width: int, height: int, margin: float, least: int
) -> None:
    box = Box("x", min(across), max(across), min(down), max(down))
    place = Cut(least, margin).pixels(box, width, height)
    sides = (box.x_max - box.x_min) * width, (box.y_max - box.y_min) * height
    if place is None:
        assert min(sides) < least
        return
    assert min(sides) >= least
    left, top, right, bottom = place
    assert 0 <= left <= box.x_min * width + 1e-6 and box.x_max * width - 1e-6 <= right <= width
    assert 0 <= top <= box.y_min * height + 1e-6 and box.y_max * height - 1e-6 <= bottom <= height
    assert right - left <= math.ceil(sides[0] * (1 + 2 * margin)) + 2


@given(st.lists(st.sampled_from("abc"), max_size=30), st.floats(0.01, 5))
def test_each_host_is_asked_at_intervals(asked: list[str], pause: float) -> None:
    rests: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "clock", lambda: 100.0)
        patch.setattr(photos, "rest", lambda stop, seconds: rests.append(seconds))
        turns = Turns(pause, threading.Event())
        for host in asked:
            turns.take(host)
    wanted = [pause * asked[:place].count(host) for place, host in enumerate(asked)]
    assert rests == pytest.approx([seconds for seconds in wanted if seconds])


def test_a_held_host_is_left_alone_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(photos, "clock", lambda: 100.0)
    monkeypatch.setattr(photos, "rest", lambda stop, seconds: rests.append(seconds))
    turns = Turns(1.0, threading.Event())
    turns.hold("busy", 30.0)
    turns.take("busy")
    turns.take("other")
    turns.take("busy")
    assert rests == [30.0, 31.0]


@given(st.text(max_size=40))
def test_any_text_may_stand_for_a_checksum(text: str) -> None:
    assert len(md5_of(text)) in (0, 32)


def test_checksums_are_base64_of_the_digest() -> None:
    assert md5_of("1B2M2Y8AsgTpgAmY7PhCfg==") == "d41d8cd98f00b204e9800998ecf8427e"


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from("ab"), st.integers(0, 4)), min_size=1, unique=True
    ),
    data=st.data(),
)
def test_the_choice_depends_on_neither_order_nor_limit(
    rows: list[tuple[int, str, int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [*rows, (9, "a", 0), (10, "b", 0)]
    folder = tmp_path_factory.mktemp("choice")
    found = choice(folder, rows, 3)
    assert choice(folder, data.draw(st.permutations(rows)), 3) == found
    assert found <= choice(folder, rows, 4)
    wide = choice(folder, rows, 1000)
    for label in ("/m/a", "/m/b"):
        every = sum(each[1] == label for each in wide)
        assert sum(each[1] == label for each in found) == min(3, every)
    corners = [(image, left) for image, _, left in wide]
    assert len(corners) == len(set(corners)), "no box is in two classes"


def choice(folder: Path, rows: list[tuple[int, str, int]], limit: int) -> set[tuple[str, str, float]]:
    head = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction\n"
    lines = [f"{image:016x},/m/{label},{left / 10},0.9,0.1,0.9,0,0,0,0\n" for image, label, left in rows]
    (folder / "train-annotations-bbox.csv").write_text(head + "".join(lines))
    known = Metadata(str(folder), Store(folder, Silence()))
    boxes = choose_boxes(known, {"/m/a": "A", "/m/b": "B"}, Rules(per_class=limit))
    return set(boxes[["ImageID", "LabelName", "XMin"]].itertuples(index=False, name=None))
