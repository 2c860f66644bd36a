"""The colours of classes: the same for the same names, and apart for people with any colour vision."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from visionkit.reporting.palette import CLASS_COLORS, class_colors
from visionkit.reporting.style import OKABE_ITO

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "class_palette.py"


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return runpy.run_path(str(PROGRAM))


def test_the_program_finds_what_is_stored(program: dict[str, Any]) -> None:
    assert program["palette"]() == list(CLASS_COLORS)
    assert list(CLASS_COLORS[:7]) == list(OKABE_ITO[:7])


@pytest.mark.parametrize("vision", ["normal", "protan", "deutan"])
@pytest.mark.parametrize("count", [8, 12, 20, 32, 48])
def test_classes_are_farther_apart_than_in_matplotlib_s_palettes(
    program: dict[str, Any], count: int, vision: str
) -> None:
    """And from Void."""
    black = [[0.0, 0.0, 0.0]]
    tabs = np.array([color[:3] for name in ("tab20", "tab20b", "tab20c") for color in colors_of(name)])
    tabs = tabs[[*range(0, 20, 2), *range(1, 20, 2), *range(20, 60)]]  # first the strong ones
    distance = program["smallest_distance"]
    ours = distance(np.vstack([program["rgb"](CLASS_COLORS[:count]), black]), vision)
    assert ours > 1.1 * distance(np.vstack([tabs[:count], black]), vision)
    assert ours > (0.07 if count <= 20 else 0.04)


def colors_of(name: str) -> Any:
    return matplotlib.colormaps[name].colors  # type: ignore[attr-defined]


def test_no_class_is_near_black_or_void(program: dict[str, Any]) -> None:
    for vision in program["VISIONS"]:
        assert program["seen"](program["rgb"](CLASS_COLORS), vision)[:, 0].min() > 0.3


def test_distances_are_those_of_oklab(program: dict[str, Any]) -> None:
    """Red, as its author tells it; and reds and greens that only normal eyes tell apart."""
    assert program["seen"](np.array([[1.0, 0, 0]]), "normal")[0] == pytest.approx(
        [0.628, 0.2249, 0.1258], abs=1e-3
    )
    pair = program["rgb"](["#B06020", "#6E7A20"])
    normal, *others = (program["smallest_distance"](pair, vision) for vision in program["VISIONS"])
    assert normal > 2 * max(others)


def test_a_class_has_its_colour_in_any_order() -> None:
    codes = ["Sky", "Road", "Void", "Car", "Tree"]
    colors = dict(zip(codes, class_colors(codes).tolist()))
    assert colors["Void"] == [0, 0, 0]
    assert len({tuple(color) for color in colors.values()}) == 5
    for order in (sorted(codes), codes[::-1]):
        assert dict(zip(order, class_colors(order).tolist())) == colors
    without = [code for code in codes if code != "Void"]
    assert {**dict(zip(without, class_colors(without).tolist())), "Void": [0, 0, 0]} == colors
    assert class_colors(["void", "VOID"]).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("count", [0, 2, 48, 49, 1000])
def test_any_number_of_classes(count: int) -> None:
    colors = class_colors([f"class {number}" for number in range(count)])
    assert colors.shape == (count, 3) and len(np.unique(colors, axis=0)) == min(count, 48)
    assert ((colors >= 0) & (colors <= 1)).all()
