"""The breed of a cat or dog from its photo, named in the file name.

Data: Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman and Jawahar, "Cats and Dogs", CVPR 2012), 7,390 photos of 37
breeds, as fast.ai's archive PETS: `images/Abyssinian_1.jpg`. Licence: CC BY-SA 4.0.

Reference: error rate 0.0710 with resnet34 at 224 px after 4 epochs of the head, 0.0622 after 2 more of the
whole network (fast.ai course v3, lesson 1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from visionkit.recipe import Recipe, Sample
from visionkit.settings import ClassifierSettings, OptionalInt, setting
from visionkit.sources import FastaiArchive

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class PetsSettings(ClassifierSettings):
    """As in the course's lesson, with its presizing."""

    freeze_epochs: tuple[int, ...] = (4,)
    epochs: tuple[int, ...] = (2,)
    presize: Annotated[
        OptionalInt, setting("Size of photos before augmentation; twice --size if empty.", "Recipe")
    ] = None


def datablock(path: Path, settings: PetsSettings) -> DataBlock:
    """Photos in `images/`, labelled by what stands before the last underscore and number of their names."""
    import fastai.vision.all as fv

    from visionkit.data.images import image_files

    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: image_files(folder / "images"),
        get_y=fv.using_attr(fv.RegexLabeller(r"^(.+)_\d+\.[^.]+$"), "name"),
        splitter=fv.RandomSplitter(settings.valid_pct, seed=settings.seed),
        item_tfms=fv.Resize(settings.presize or 2 * settings.size),
        batch_tfms=fv.aug_transforms(size=settings.size, min_scale=0.75),
    )


recipe = Recipe(
    name="pets",
    task="single-label",
    dataset="Oxford-IIIT Pet, 37 breeds, 7,390 photos",
    licence="CC BY-SA 4.0",
    size="0.8 GB",
    headline="error rate 0.0622 (fast.ai course v3)",
    source=FastaiArchive("PETS"),
    datablock=datablock,
    settings=PetsSettings,
    sample=Sample(
        "visionkit.sources.samples.pets:draw",
        {"size": 64, "epochs": (10,), "bs": 16, "lr": 0.004},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
