"""Who validates in a user's own data: what the data says, or images that are drawn; and that in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visionkit.data.splits import Splits
from visionkit.settings import TrainSettings

Splitter = Callable[[Any], Splits]


def drawn(settings: TrainSettings) -> Splitter:
    """A fastai splitter: `valid_pct` of the images validate, drawn by the seed."""
    from fastai.data.transforms import RandomSplitter

    return RandomSplitter(settings.valid_pct, seed=settings.seed)


def chosen_option(settings: TrainSettings) -> str:
    """The option that says who validates whatever the data says; "" where none is given."""
    options = {
        "--split": settings.split != "recipe",
        "--folds": settings.folds is not None,
        "--group-by": bool(settings.group_by),
    }
    return next((option for option, given in options.items() if given), "")


def who_validates(settings: TrainSettings, told: str) -> str:
    """Who validates, in words: `told` by the data, unless an option says otherwise.

    Args:
        settings: those of the training.
        told: what the data says, such as "valid/ validates"; "" where it says nothing.
    """
    if option := chosen_option(settings):
        return f"{option} says what validates"
    return told or "--valid-pct of them validate"
