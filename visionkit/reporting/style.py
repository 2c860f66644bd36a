"""One look for all plots: colours that colour-blind people tell apart, quiet axes, PNG files written
whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from visionkit.atomic import atomic_file
from visionkit.visible import visible, visible_lines

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours for everyone (2008): jfly.uni-koeln.de/color."""
RIGHT, WRONG = "#00694B", "#B34700"
DPI = 130
TALLEST = 300.0
"""Inches; matplotlib draws no more than 65,535 pixels."""
LONGEST = 40
"""Characters of a name that a plot has room for."""

_STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=OKABE_ITO),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "font.size": 11,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Matplotlib's settings for everything that visionkit draws."""
    with matplotlib.rc_context(cast(Any, _STYLE)):
        yield


class _PlainFigure(Figure):
    """Shows names as they are: `$` begins no formula, and characters that no font has give no warnings."""

    def draw(self, renderer: Any) -> None:
        numbers = self._numbers()
        for text in self.findobj(Text, include_self=False):
            if id(text) not in numbers:
                text.set_parse_math(False)
                text.set_text(visible_lines(text.get_text()))
        with warnings.catch_warnings():
            for message in (r"Glyph \d+ .* missing", "constrained_layout not applied"):
                warnings.filterwarnings("ignore", message=message)
            super().draw(renderer)

    def _numbers(self) -> set[int]:
        """The texts along axes, in which matplotlib itself writes formulas, such as powers of ten."""
        axis = [each for axes in self.axes for each in (axes.xaxis, axes.yaxis)]
        ticks = [tick for each in axis for tick in (*each.majorTicks, *each.minorTicks)]
        labels = [label for tick in ticks for label in (tick.label1, tick.label2)]
        return {id(text) for text in (*labels, *(each.offsetText for each in axis))}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; belongs to no window and needs no display."""
    figure = _PlainFigure(figsize=(min(width, TALLEST), min(height, TALLEST)))
    FigureCanvasAgg(figure)
    return figure


def shown_name(name: object) -> str:
    """A name of a class, a tag or a run as a plot shows it: on one line, and cut in the middle if long."""
    shown = visible(name)
    if len(shown) <= LONGEST:
        return shown
    tail = LONGEST // 3
    return f"{shown[: LONGEST - tail - 1]}…{shown[-tail:]}"


def save_figure(figure: Figure, path: Path, synthetic: bool = False) -> None:
    """Write `figure` as PNG, whole or not at all; results on synthetic data are marked as such."""
    if synthetic:
        figure.text(0.995, 0.995, "synthetic sample data", ha="right", va="top", fontsize=8, color="#777777")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI, pil_kwargs={"compress_level": 4})


def class_colors(names: Sequence[str]) -> np.ndarray:
    """A colour for every class, float RGB of 0 to 1, shape (classes, 3); Void is black."""
    maps = [cast(ListedColormap, matplotlib.colormaps[name]) for name in ("tab20", "tab20b", "tab20c")]
    palette = [np.array(color)[:3] for colormap in maps for color in cast(Sequence[Any], colormap.colors)]
    order = [*range(0, 20, 2), *range(1, 20, 2), *range(20, 60)]
    colors = np.array([palette[order[index % len(order)]] for index in range(len(names))])
    for index, name in enumerate(names):
        if name.lower() == "void":
            colors[index] = 0
    return colors
