"""One label an image: your own images, in a folder for each class.

Data: yours, as `CLASS/…`, of which a part is drawn for validation, or as `train/CLASS/…` and `valid/CLASS/…`
(or val, validation); `test/` is left out where there is a folder for validation. Also sets by name, such as
`--data fastai:CIFAR` and `--data torchvision:MNIST`: there `test/` validates. Licence: yours, or the set's.

Reference: none; the sample is the pets recipe's, in class folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data.class_folders import (
    ClassFolderSettings,
    class_folders,
    describe_class_folders,
    test_images,
)
from visionkit.data.photos import photo_transforms
from visionkit.recipe import Recipe, Sample
from visionkit.settings import ClassifierSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class FolderSettings(ClassFolderSettings, ClassifierSettings):
    """The head first, then the whole network."""

    freeze_epochs: tuple[int, ...] = (3,)
    epochs: tuple[int, ...] = (3,)


def datablock(path: Path, settings: FolderSettings) -> DataBlock:
    """Images, labelled by the first folder below that of their part."""
    import fastai.vision.all as fv

    found = class_folders(path, settings.valid_folder)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda _: list(found.labels),
        get_y=lambda image: found.labels[image],
        splitter=found.splitter(settings),
        **photo_transforms(settings),
    )


recipe = Recipe(
    name="folder",
    task="single-label",
    dataset="class folders of your own",
    licence="yours",
    headline="none, the data is yours",
    source=None,
    datablock=datablock,
    settings=FolderSettings,
    remark=describe_class_folders,
    test_part=lambda folder, settings: test_images(folder),
    sample=Sample(
        "visionkit.sources.samples.class_folders:draw",
        {"size": 64, "epochs": (10,), "bs": 16, "lr": 0.004},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
