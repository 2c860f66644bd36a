"""Land use and weather in satellite images of the Amazon, several tags an image.

Data: Kaggle's competition planet-understanding-the-amazon-from-space (2017), 40,479 chips of 256 px with 17
tags: `train-jpg/train_0.jpg` and `train_v2.csv`; fast.ai's PLANET_SAMPLE has `train/` and `labels.csv`.
Licence: the competition's rules, which forbid passing the images on.

Reference: with resnet50 and 20 % for validation, F2 at threshold 0.2 is 0.9283 at 128 px and 0.9313 after
going on at 256 px; private leaderboard 0.9296 (fast.ai course v3, lesson 3).
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data import planet
from visionkit.recipe import Recipe, Sample
from visionkit.settings import LearningRate, MultiLabelSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class PlanetSettings(MultiLabelSettings):
    """As in the course's lesson."""

    size: int = 128
    arch: str = "resnet50"
    freeze_epochs: tuple[int, ...] = (5,)
    epochs: tuple[int, ...] = (5,)
    lr: LearningRate = 0.01
    threshold: float = 0.2


def datablock(path: Path, settings: PlanetSettings) -> DataBlock:
    """Chips with the tags of their rows; a chip looks the same from all eight directions."""
    import fastai.vision.all as fv

    chips = planet.labelled_chips(path)
    vocab = sorted({tag for chip in chips for tag in chip.tags})
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.MultiCategoryBlock(vocab=vocab)),
        get_items=lambda _: chips,
        get_x=attrgetter("path"),
        get_y=attrgetter("tags"),
        splitter=fv.RandomSplitter(settings.valid_pct, seed=settings.seed),
        item_tfms=fv.Resize(settings.size),
        batch_tfms=fv.aug_transforms(flip_vert=True, max_lighting=0.1, max_zoom=1.05, max_warp=0.0),
    )


recipe = Recipe(
    name="planet",
    task="multi-label",
    dataset="Planet: Understanding the Amazon from Space, 17 tags, 40,479 chips",
    licence="competition rules",
    size="0.6 GB",
    headline="F2 0.9313 (fast.ai course v3)",
    source=planet.SOURCE,
    datablock=datablock,
    settings=PlanetSettings,
    sample=Sample(
        "visionkit.sources.samples.planet:draw",
        {"size": 64, "epochs": (10,), "dropout": 0.0, "bs": 16, "lr": 0.003},
    ),
    submission=planet.SUBMISSION,
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
