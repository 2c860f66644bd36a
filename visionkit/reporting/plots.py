"""All plots of a run, as PNG and SVG files in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.atomic import write_atomically
from visionkit.errors import VisionkitError
from visionkit.reporting import curves
from visionkit.reporting.extra import extra_plots
from visionkit.reporting.style import FORMATS, save_figure
from visionkit.runs import Run

if TYPE_CHECKING:
    from fastai.learner import Learner
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset
    from visionkit.sources.base import Store


def plot_run(
    run: Run,
    learn: Learner | None = None,
    dataset: Dataset | None = None,
    store: Store | None = None,
    svg: bool = False,
) -> list[Path]:
    """Draw losses, schedule, metrics, and what the model makes of the validation images; returns the files.

    Args:
        run: a run with at least one finished epoch.
        learn: its Learner, where it is at hand; else the model is loaded again for the plots of predictions,
            if the run has come so far as to have one.
        dataset: the data set of `learn`.
        store: remembers which images were looked at before; `~/.visionkit` where None.
        svg: write an SVG file beside each PNG file.

    Raises:
        VisionkitError: no epoch is finished, or the data set is no longer there.
    """
    if not run.history:
        raise VisionkitError(f"{run.path}: no epoch is finished, so there is nothing to plot.")
    figures: dict[str, Figure | str] = {
        "losses": curves.losses(run),
        "schedule": curves.schedule(run),
        "metrics": curves.metrics(run),
    }
    if learn is None and (run.path / "model").is_dir():
        from visionkit.training.restore import restore

        learn, dataset = restore(run, store=store)
    if learn is not None and dataset is not None:
        figures |= dataset.task.evaluation_plots(learn, dataset, dataset.settings)
        figures |= extra_plots(learn, dataset)
    files = []
    for name, figure in figures.items():
        if isinstance(figure, str):  # a table
            files.append(run.path / f"{name}.csv")
            write_atomically(files[-1], figure)
            continue
        for ending in FORMATS if svg else FORMATS[:1]:
            files.append(run.path / "plots" / f"{name}{ending}")
            save_figure(figure, files[-1], bool(run.info.get("synthetic")))
    return files
