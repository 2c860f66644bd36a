"""Bars that lie: one or several for each name, the names at their left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from visionkit.reporting.style import OKABE_ITO, WIDTH, legend_below, new_figure, plot_style, set_title
from visionkit.reporting.text import text_width

ROOM = 5.0
"""Inches for the bars at least."""
MARGINS = 1.6
"""Inches above and below the bars: title, numbers of the axis and what they are, legend."""


def bar_axes(names: Sequence[str], title: str, row: float, **labels: Any) -> tuple[Figure, Axes]:
    """A figure for bars at 0, 1, 2 … from the top, `row` inches each, in which long names have room.

    Call it within `plot_style()`.
    """
    figure = new_figure(max(WIDTH, ROOM + text_width(names)), MARGINS + row * max(len(names), 2))
    axes = figure.add_subplot()
    axes.grid(False, axis="y")
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set(**labels)
    set_title(figure, title)
    return figure, axes


def grouped_bars(
    names: Sequence[str], columns: Mapping[str, np.ndarray], title: str, colors: Sequence[str] = OKABE_ITO
) -> Figure:
    """For each name a bar from 0 to 1 for every column."""
    height = 0.84 / len(columns)
    rows = np.arange(len(names))
    *first, last = columns
    with plot_style():
        label = f"{', '.join(first)} and {last}, from 0 to 1"
        figure, axes = bar_axes(names, title, 0.17 * len(columns), xlabel=label, xlim=(0, 1))
        for place, (name, values) in enumerate(columns.items()):
            shift = (place - (len(columns) - 1) / 2) * height
            axes.barh(rows + shift, values, height=0.9 * height, label=name, color=colors[place])
        legend_below(figure)
    return figure
