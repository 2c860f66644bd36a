"""The losses of a training as a chart of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
from uniplot import plot_to_string

from visionkit.live.view import View
from visionkit.progress import duration

NARROWEST, LOWEST = 30, 6
AXIS = 10
"""Characters that frame and figures of the upward axis take."""
AROUND = 6
"""Lines of title, frame, axis and legend, which may take two."""
MOST_STAGES = 12
"""With more, the chart does not mark where they begin."""


def chart(view: View, width: int, height: int, *, plain: bool = False) -> str:
    """Training and validation loss over epochs.

    Args:
        view: what is drawn; with a loss at least.
        width: in characters.
        height: in lines.
        plain: without colours, in characters of ASCII but for the frame.
    """
    lines = [("training loss", view.training, True), ("validation loss", view.validation, False)]
    shown = [(name, _thinned(points, 8 * width), drawn) for name, points, drawn in lines if points]
    begins = [place for place, _ in view.stages[1:]] if len(view.stages) <= MOST_STAGES else []
    losses = [[loss for _, loss in points] for _, points, _ in shown]
    lowest = min(0.0, *map(min, losses))
    highest = _upper(*([loss for _, loss in points] for points in (view.training, view.validation)))
    options: dict[str, Any] = (
        {"character_set": "ascii", "color": False} if plain else {"color": ["blue", "magenta"]}
    )
    drawing: str = plot_to_string(
        xs=[[place for place, _ in points] for _, points, _ in shown],
        ys=[np.clip(each, lowest, highest) for each in losses],  # what lies far outside takes long to draw
        lines=[drawn for *_, drawn in shown],
        legend_labels=[name for name, *_ in shown],
        title="loss over epochs",
        width=max(width - AXIS, NARROWEST),
        height=max(height - AROUND, LOWEST),
        x_min=0,
        x_max=max(view.epochs, 1),
        y_min=lowest,
        y_max=highest,
        x_gridlines=begins,
        **options,
    )
    return drawing


def words(view: View) -> list[str]:
    """What is said about the training, a line each."""
    lines = [f"{view.name}: {view.status}" + (f", {view.position}" if view.position else "")]
    if view.metrics:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in view.metrics.items())
        lines.append(f"last validation: {figures}")
    pace = [] if view.pace is None else [f"{view.pace:,.0f} images/s"]
    if view.left is not None:
        pace.append(f"about {duration(view.left)} left")
    return [*lines, ", ".join(pace)] if pace else lines


def _upper(training: list[float], validation: list[float]) -> float:
    """Of the upward axis: losses that ran away do not squeeze the others."""
    usual = max(training or validation)
    if training and (most := float(np.percentile(training, 75))) > 0:
        usual = min(usual, 5 * most)
    return 1.02 * max(usual, min(max(validation, default=0.0), 2 * usual), 1e-6)


def _thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` of the points, evenly spread, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[place] for place in np.linspace(0, len(points) - 1, most).round().astype(int)]
