"""One look for all plots: colours that colour-blind people tell apart, text that can be read at half size,
quiet axes, titles of as many lines as they need, and PNG and SVG files written whole.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import matplotlib
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from visionkit.atomic import atomic_file
from visionkit.reporting.text import FONT_SIZE, text_width, wrapped
from visionkit.visible import visible_lines

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours for everyone (2008): jfly.uni-koeln.de/color."""
TRAINING, VALIDATION = OKABE_ITO[0], OKABE_ITO[1]
RIGHT, WRONG = "#00694B", "#B34700"
DPI = 130
WIDTH = 8.0
"""Inches of a plot without long names."""
TITLE_SIZE = 13
LINE = 0.19
"""Inches of a line of text."""
TALLEST = 300.0
"""Inches; matplotlib draws no more than 65,535 pixels."""
FORMATS = (".png", ".svg")
SYNTHETIC = "synthetic sample data"

_WIDE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
"""Fonts with Chinese characters, of which one is used where it is installed: matplotlib's own has none."""

_STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=OKABE_ITO),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": FONT_SIZE + 1,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "legend.fontsize": FONT_SIZE,
    "figure.titlesize": TITLE_SIZE,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "font.size": FONT_SIZE,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Matplotlib's settings for everything that visionkit draws."""
    with matplotlib.rc_context(cast(Any, {**_STYLE, "font.family": _families()})):
        yield


@cache
def _families() -> list[str]:
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in _WIDE_FONTS if name in installed][:1]]


class _PlainFigure(Figure):
    """Shows names as they are: `$` begins no formula, and characters that no font has give no warnings."""

    def draw(self, renderer: Any) -> None:
        for text in self._words():
            text.set_parse_math(False)
            text.set_text(visible_lines(text.get_text()))
        with warnings.catch_warnings():
            for message in (r"Glyph \d+ .* missing", "constrained_layout not applied"):
                warnings.filterwarnings("ignore", message=message)
            super().draw(renderer)

    def _words(self) -> Iterator[Text]:
        """All texts but those along axes, in which matplotlib writes formulas, such as powers of ten."""
        legends = [*self.legends, *(axes.get_legend() for axes in self.axes)]
        for legend in filter(None, legends):
            yield from (*legend.get_texts(), legend.get_title())
        yield from self.texts
        for axes in self.axes:
            yield from (axes.xaxis.label, axes.yaxis.label)
            yield from (each for each in axes.get_children() if isinstance(each, Text))


def new_figure(width: float, height: float, arranged: bool = True) -> Figure:
    """An empty figure of this size in inches; belongs to no window and needs no display.

    Its axes are arranged so that all labels have room, or stay where they are put.
    """
    size, layout = (min(width, TALLEST), min(height, TALLEST)), None if arranged else "none"
    figure = _PlainFigure(figsize=size, layout=cast(Any, layout))
    FigureCanvasAgg(figure)
    return figure


def set_title(figure: Figure, text: str) -> None:
    """Say above the whole figure what is seen in it, in as many lines as it needs."""
    width, height = figure.get_size_inches()
    place = {} if figure.get_layout_engine() else {"y": 1 - 0.08 / height, "va": "top"}
    figure.suptitle(_lines(width, text), x=0.1 / width, ha="left", parse_math=False, **place)


def title_height(width: float, text: str) -> float:
    """Inches that a title takes above a figure that is `width` inches wide."""
    return 1.25 * TITLE_SIZE / 72 * (_lines(width, text).count("\n") + 1)


def _lines(width: float, text: str) -> str:
    return "\n".join(wrapped(line, width - 0.2, TITLE_SIZE) for line in text.split("\n"))


def legend_below(figure: Figure, **options: Any) -> None:
    """What the colours mean, under the plot, where no data are; in as many columns as there is room for.

    Args:
        figure: with labelled lines or bars.
        options: of matplotlib's `legend`, such as `handles`.
    """
    handles = options.get("handles") or _labelled(figure)
    columns = _columns(figure.get_figwidth(), [str(handle.get_label()) for handle in handles])
    figure.legend(**{"handles": handles, "loc": "outside lower center", "ncols": columns, **options})


def legend_height(width: float, names: Sequence[str]) -> float:
    """Inches that a legend takes below a figure that is `width` inches wide."""
    return 0.2 + 0.24 * math.ceil(len(names) / _columns(width, names))


def _columns(width: float, names: Sequence[str]) -> int:
    return min(max(int(width / (text_width(names) + 0.6)), 1), len(names) or 1)


def _labelled(figure: Figure) -> list[Any]:
    return [handle for axes in figure.axes for handle in axes.get_legend_handles_labels()[0]]


def save_figure(figure: Figure, path: Path, synthetic: bool = False) -> None:
    """Write `figure` as PNG or SVG, as `path` ends, whole or not at all.

    The same figure gives the same file. In an SVG, text is text. Results on synthetic data are marked so.
    """
    if synthetic:
        _mark_synthetic(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        if path.suffix.lower() == ".svg":
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "visionkit"}):
                figure.savefig(file, format="svg", dpi=DPI, metadata={"Date": None})
        else:
            figure.savefig(file, format="png", dpi=DPI, pil_kwargs={"compress_level": 4})


def _mark_synthetic(figure: Figure) -> None:
    """Once, however many files are written."""
    title = figure.get_suptitle()
    if not title.endswith(f"({SYNTHETIC})"):
        with plot_style():
            set_title(figure, f"{title}\n({SYNTHETIC})" if title else f"({SYNTHETIC})")
