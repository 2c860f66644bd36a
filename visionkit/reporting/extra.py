"""Plots that depend on the data set rather than on the task: balance of the labels, test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionkit.errors import DataError
from visionkit.reporting.balance import label_balance
from visionkit.reporting.unlabelled import unlabelled_examples

if TYPE_CHECKING:
    from fastai.learner import Learner
    from matplotlib.figure import Figure

    from visionkit.data.dataset import Dataset


def extra_plots(learn: Learner, dataset: Dataset) -> dict[str, Figure]:
    """`balance` for labels and tags, and `test` where there are test images: file stem -> figure."""
    figures = {}
    if dataset.recipe.task in ("single-label", "multi-label"):
        figures["balance"] = label_balance(dataset)
    figure = _test_sheet(learn, dataset)
    if figure is not None:
        figures["test"] = figure
    return figures


def _test_sheet(learn: Learner, dataset: Dataset) -> Figure | None:
    """A sheet of predicted labels of test images; None where the recipe has none, or they are not there."""
    if dataset.recipe.submission is None or dataset.recipe.task != "single-label":
        return None
    try:
        images = dataset.recipe.submission.test_images(dataset.path)
    except DataError:  # they are optional here, and `visionkit submit` says what is wrong with them
        return None
    return unlabelled_examples(learn, dataset, images)
