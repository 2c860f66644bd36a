"""Line charts as SVG, drawn by the page's template from what is worked out here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 16.0, 44.0
"""Of the drawing, in its own units, and what its axes leave free."""
MOST_POINTS = 500
"""Of a line; more are thinned."""
MOST_MARKS = 40
LETTER = 9.0
"""Width of a letter, on a phone at most."""
LARGEST = 1e300
"""Beyond which, as with what is no number, nothing is drawn."""


class Line(NamedTuple):
    """Values over places; `kind` is the colour's number, and whether points are marked."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int
    dots: bool = True


class Tick(NamedTuple):
    """A place on an axis, in the drawing's units, and what stands there."""

    at: float
    label: str


class Mark(NamedTuple):
    """A place on the axis with a word beside it: at `word_at`, where it starts or, as `anchor` says, ends."""

    at: float
    label: str
    word_at: float
    anchor: Literal["start", "end"]


@dataclass(frozen=True)
class DrawnLine:
    """A line in the drawing's units."""

    name: str
    path: str
    color: int
    dots: list[tuple[float, float]]
    values: list[list[float]]
    """x and y as they are, for whoever points at them."""


@dataclass(frozen=True)
class Chart:
    """A chart that is ready to be drawn."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: list[DrawnLine]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark] = field(default_factory=list)
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM

    @property
    def data(self) -> dict[str, object]:
        """What the page needs to tell values under the pointer."""
        return {
            "x": self.x_label,
            "lines": [
                {"name": line.name, "color": line.color, "values": line.values, "at": _places(line)}
                for line in self.lines
            ],
        }


def chart(
    name: str,
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    whole: bool = False,
    from_zero: bool = True,
    top: float | None = None,
    marks: Sequence[tuple[float, str]] = (),
) -> Chart | None:
    """Work out a chart; None where no line has a finite value.

    Args:
        name: of the element; unique in the page.
        title: what is seen.
        lines: with values, not all of which need be finite.
        x_label: with the unit.
        y_label: with the unit.
        whole: whether places are whole numbers, such as epochs.
        from_zero: whether the upward axis begins at 0, or at the least value.
        top: where the upward axis ends, although there are greater values, which are drawn at its end.
        marks: places with a word, such as where stages begin.
    """
    kept = [thinned for line in lines if len((thinned := _thinned(_finite(line))).x)]
    if not kept:
        return None
    xs, ys = ([value for line in kept for value in getattr(line, axis)] for axis in "xy")
    x_axis = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, whole)
    low = min(0.0, *ys) if from_zero else min(ys)
    high = max(ys) if top is None else top
    y_axis = _Axis(low, high, HEIGHT - BOTTOM, TOP)
    drawn = []
    for line in kept:
        points = [(x_axis.place(x), y_axis.place(min(y, high))) for x, y in zip(line.x, line.y)]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        values = [[float(x), float(y)] for x, y in zip(line.x, line.y)]
        drawn.append(DrawnLine(line.name, path, line.color, points if line.dots else [], values))
    shown = (
        _marks([Tick(x_axis.place(place), word) for place, word in marks]) if len(marks) <= MOST_MARKS else []
    )
    return Chart(name, title, x_label, y_label, drawn, x_axis.ticks(), y_axis.ticks(), shown)


class _Axis:
    """From values to places in the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float, whole: bool = False) -> None:
        if high <= low:
            low, high = low - 1, high + 1
        self.whole = whole
        self._locator = MaxNLocator(6, integer=whole)
        ticks = self._locator.tick_values(low, high)
        if whole:
            self.low, self.high = low, high
        else:
            self.low, self.high = float(min(low, ticks[0])), float(max(high, ticks[-1]))
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        values = [float(value) for value in self._locator.tick_values(self.low, self.high)]
        inside = [value for value in values if self.low - 1e-12 <= value <= self.high + 1e-12]
        if self.whole:
            inside = [value for value in inside if value == round(value) and value >= 0]
        return [Tick(self.place(value), short(value)) for value in inside]


def _marks(places: Sequence[Tick]) -> list[Mark]:
    """Words stand to the right of their place, or to the left where there is no room; else there are none."""
    marks: list[Mark] = []
    free = 0.0
    for at, word in places:
        width = LETTER * len(word)
        right = at + 4 + width <= WIDTH
        start = at + 4 if right else at - 4 - width
        room = start >= free
        free = start + width if room else free
        marks.append(Mark(at, word if room else "", at + 4 if right else at - 4, "start" if right else "end"))
    return marks


def short(value: float) -> str:
    """A number as an axis or a table shows it: 0.0001, 12,000, 3e-07."""
    if not math.isfinite(value):
        return ""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        text = f"{value:,.6f}".rstrip("0").rstrip(".")
        return text if text not in ("-0", "") else "0"
    return f"{value:.3g}"


def _finite(line: Line) -> Line:
    pairs = [(x, y) for x, y in zip(line.x, line.y) if abs(x) < LARGEST and abs(y) < LARGEST]
    return line._replace(x=[x for x, _ in pairs], y=[y for _, y in pairs])


def _thinned(line: Line) -> Line:
    """At most `MOST_POINTS`, evenly spread, the first and the last among them."""
    if len(line.x) <= MOST_POINTS:
        return line
    places = np.linspace(0, len(line.x) - 1, MOST_POINTS).round().astype(int)
    return line._replace(x=[line.x[place] for place in places], y=[line.y[place] for place in places])


def _places(line: DrawnLine) -> list[list[float]]:
    return [[float(number) for number in point.split()] for point in line.path[1:].split("L")]
