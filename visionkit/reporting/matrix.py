"""Matrices of truth over prediction: colours for shares, and numbers as long as they can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from visionkit.reporting.style import new_figure, plot_style, set_title
from visionkit.reporting.text import shown_name, text_width

MATRIX_LIMIT = 40
"""With more classes a matrix cannot be read."""
NUMBERS_LIMIT = 24
"""With more classes, squares are smaller and have no numbers, but a bar that says what the colours are."""


def share_matrix(
    shares: np.ndarray, texts: Mapping[tuple[int, int], str], names: Sequence[str], title: str, what: str
) -> Figure:
    """A square for each pair of truth (rows) and prediction.

    Args:
        shares: 0 to 1, shape (names, names): how dark squares are.
        texts: what stands in a square, by row and column.
        names: of the classes.
        title: of the figure.
        what: the shares are.
    """
    shown, count = [shown_name(name) for name in names], len(names)
    numbered = count <= NUMBERS_LIMIT
    squares = max(3.2, (0.44 if numbered else 0.25) * count)
    side = squares + text_width(shown) + 0.6
    with plot_style():
        figure = new_figure(side + 1, side + 0.6)
        axes = figure.add_subplot()
        axes.grid(False)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if numbered:
            for (row, column), text in texts.items():
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, text, ha="center", va="center", color=color)
        axes.set_xticks(range(count), shown, rotation=90, parse_math=False)
        axes.set_yticks(range(count), shown, parse_math=False)
        axes.set(xlabel="predicted", ylabel="truth")
        figure.colorbar(image, ax=axes, label=what, fraction=0.05, pad=0.02, aspect=30)
        set_title(figure, title)
    return figure


def short(count: int) -> str:
    """A number of images in at most four characters, as squares have room for: 950, 1.2k, 34k, 5.6M."""
    if count < 1000:
        return str(count)
    scaled, unit = next(
        (count / size, unit) for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= 0.9995 * size
    )
    return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
