"""The data that a run was trained on: how many of each class, what is wrong with them, how they look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.checks.page import balance_rows, headline, problem_rows
from visionkit.checks.report import check_dataset
from visionkit.data.splits import relative_name
from visionkit.progress import Silence
from visionkit.report.pictures import Album, Picture
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.checks.result import CheckReport
    from visionkit.data.dataset import Dataset
    from visionkit.sources.base import Store

SAMPLES = 12
MOST_CLASSES = 200
"""Of which the balance is shown."""


@dataclass(frozen=True)
class Sample:
    """A training image and what it is labelled as."""

    picture: Picture
    name: str
    label: str


@dataclass(frozen=True)
class Data:
    """What there is to see of the data."""

    found: CheckReport
    headline: str
    problems: list[dict[str, Any]]
    balance: list[dict[str, Any]]
    more_classes: int
    samples: list[Sample]
    left_out: int


def data_of(dataset: Dataset, store: Store, album: Album) -> Data:
    """What is known of the images, which were looked at before the training; and some of them."""
    found = check_dataset(dataset, [], store.memory, Silence())
    return Data(
        found,
        headline(found),
        problem_rows(found),
        balance_rows(found),
        max(0, len(found.balance) - MOST_CLASSES),
        _samples(dataset, album),
        len(dataset.skipped),
    )


def _samples(dataset: Dataset, album: Album) -> list[Sample]:
    places = np.linspace(0, len(dataset.train) - 1, min(SAMPLES, len(dataset.train))).round().astype(int)
    upright = dataset.recipe.task in ("single-label", "multi-label")
    samples = []
    for place in (dataset.train[int(index)] for index in places):
        file = dataset.images[place]
        if (picture := album.photo(file, upright=upright)) is not None:
            name = visible(relative_name(file, dataset.path))
            samples.append(Sample(picture, name, _label(dataset, place)))
    return samples


def _label(dataset: Dataset, place: int) -> str:
    target = dataset.targets[place]
    if dataset.recipe.task == "single-label":
        return visible(target)
    return visible(", ".join(map(str, target))) if dataset.recipe.task == "multi-label" else ""
