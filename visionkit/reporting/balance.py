"""How many images each label has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from visionkit.reporting.bars import bar_axes
from visionkit.reporting.style import TRAINING, VALIDATION, legend_below, plot_style
from visionkit.reporting.text import shown_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset

BARS = 60
"""With more labels than this, half as many of the most and of the least frequent are shown."""


def label_balance(dataset: Dataset) -> Figure:
    """Bars with the training and the validation images of every label or tag, the most frequent first."""
    train, valid = dataset.class_counts(dataset.train), dataset.class_counts(dataset.valid)
    counts = train + valid
    names = sorted(counts, key=lambda name: (-counts[name], name))
    kind = "tags" if dataset.recipe.task == "multi-label" else "labels"
    title = f"{dataset.recipe.name}: images of each of {len(names):,} {kind}"
    if len(names) > BARS:
        names = names[: BARS // 2] + names[-BARS // 2 :]
        title += f", the {BARS // 2} most and the {BARS // 2} least frequent"
    rows = np.arange(len(names))
    trained, validated = ([part[name] for name in names] for part in (train, valid))
    with plot_style():
        figure, axes = bar_axes(list(map(shown_name, names)), title, 0.27, xlabel="images")
        axes.barh(rows, trained, label=f"training ({len(dataset.train):,} images)", color=TRAINING)
        axes.barh(
            rows,
            validated,
            left=trained,
            label=f"validation ({len(dataset.valid):,} images)",
            color=VALIDATION,
        )
        for row, name in enumerate(names):
            axes.text(counts[name], row, f" {train[name]:,} + {valid[name]:,}", va="center")
        axes.margins(x=0.22)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure)
    return figure
