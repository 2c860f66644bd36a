"""How many images each label has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from visionkit.reporting.style import OKABE_ITO, new_figure, plot_style, shown_name

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
    title = f"{dataset.recipe.name}: images of each of {len(names)} {kind}"
    if len(names) > BARS:
        names = names[: BARS // 2] + names[-BARS // 2 :]
        title += f", the {BARS // 2} most and the {BARS // 2} least frequent"
    rows = np.arange(len(names))
    trained, validated = ([part[name] for name in names] for part in (train, valid))
    with plot_style():
        figure = new_figure(8, 2 + 0.26 * len(names))
        axes = figure.add_subplot()
        axes.barh(rows, trained, label=f"training ({len(dataset.train):,} images)", color=OKABE_ITO[0])
        axes.barh(
            rows, validated, left=trained, label=f"validation ({len(dataset.valid):,})", color=OKABE_ITO[4]
        )
        for row, name in enumerate(names):
            axes.text(counts[name], row, f" {train[name]:,} + {valid[name]:,}", va="center", fontsize=8)
        axes.set_yticks(rows, list(map(shown_name, names)), fontsize=9, parse_math=False)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set(title=title, xlabel="images")
        figure.legend(loc="outside lower center", ncols=2)
    return figure
