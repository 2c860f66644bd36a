"""Classes of Open Images from their boxes, cut out of the photos: sandwich or hamburger, or any of 600.

Data: Open Images V4 (Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020), 14.6 million boxes of 600
classes in 1.74 million photos. `--classes` chooses; the photos are fetched from Flickr, and the boxes become
`CLASS/PHOTO_1.jpg`, with the authors in `photos.csv`. Licences: photos CC BY 2.0, boxes CC BY 4.0.

Reference: none is published for boxes cut out and classified.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.recipe import Recipe, Sample
from visionkit.sources.openimages import OpenImages
from visionkit.sources.openimages.settings import OpenImagesSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


def source_of(settings: OpenImagesSettings) -> OpenImages:
    """The set of boxes that the settings choose."""
    return OpenImages(**{name: getattr(settings, name) for name in OpenImages.__dataclass_fields__})


def datablock(path: Path, settings: OpenImagesSettings) -> DataBlock:
    """Cut-out boxes in a folder for each class."""
    import fastai.vision.all as fv

    from visionkit.data.images import image_files

    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: image_files(folder, recursive=True),
        get_y=fv.parent_label,
        item_tfms=fv.Resize(settings.presize or 2 * settings.size),
        batch_tfms=fv.aug_transforms(size=settings.size, min_scale=0.75),
    )


recipe = Recipe(
    name="openimages",
    task="single-label",
    dataset="Open Images V4, boxes of chosen classes cut out of photos",
    licence="photos CC BY 2.0, boxes CC BY 4.0",
    size="1.8 GB of metadata, and the photos chosen",
    headline="none published",
    source=source_of(OpenImagesSettings()),
    source_of=source_of,
    listing=lambda settings, store: source_of(settings).listing(store),
    datablock=datablock,
    settings=OpenImagesSettings,
    sample=Sample(
        "visionkit.sources.samples.openimages:draw",
        {"size": 64, "epochs": (12,), "bs": 16, "lr": 0.002},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
