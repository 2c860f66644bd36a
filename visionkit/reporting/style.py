"""One look for all plots: colours that colour-blind people tell apart, quiet axes, PNG files written
whole.
"""

from __future__ import annotations

import os
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

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's colours for everyone (2008): jfly.uni-koeln.de/color."""
RIGHT, WRONG = "#00694B", "#B34700"
DPI = 130

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


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; belongs to no window and needs no display."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, synthetic: bool = False) -> None:
    """Write `figure` as PNG beside `path` and rename it over; results on synthetic data are marked as
    such.
    """
    if synthetic:
        figure.text(0.995, 0.995, "synthetic sample data", ha="right", va="top", fontsize=8, color="#777777")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    figure.savefig(beside, format="png", dpi=DPI)
    beside.replace(path)


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
