"""Classes of Open Images from their boxes, cut out of the photos: sandwich or hamburger, or any of 600.

Data: Open Images V4 (Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020), 14.6 million boxes of 600
classes in 1.74 million photos. `--classes` chooses; the photos are fetched from Flickr, and the boxes become
`CLASS/PHOTO_1.jpg`, with the authors in `photos.csv`. Licences: photos CC BY 2.0, boxes CC BY 4.0.

Reference: none is published for boxes cut out and classified.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from visionkit.recipe import Recipe, Sample
from visionkit.settings import ClassifierSettings, Names, OptionalInt, setting
from visionkit.sources.openimages import OpenImages
from visionkit.sources.openimages.metadata import ADDRESS

if TYPE_CHECKING:
    from fastai.data.block import DataBlock

ONE_PHOTO = r"([0-9a-f]{16}(?=_\d+\.\w+$)|[^/]+$)"
"""Finds the photo in the name of a cut-out box; in any other path the file's name."""


class OpenImagesSettings(ClassifierSettings):
    """What to choose and how to cut it; the boxes of one photo stay together in every drawn split."""

    classes: Annotated[
        Names, setting("Classes to tell apart; --list shows them all.", "Recipe", "NAME…", min_length=2)
    ] = ("Sandwich", "Hamburger")
    per_class: Annotated[
        int,
        setting(
            "Boxes of each class at most, small ones and those in dead links among them.", "Recipe", ge=1
        ),
    ] = 500
    photos: Annotated[
        Literal["original", "thumbnail"], setting("Photos as uploaded, or small ones.", "Recipe")
    ] = "original"
    min_side: Annotated[int, setting("Least side of a box, in pixels of the photo.", "Recipe", ge=1)] = 48
    margin: Annotated[
        float, setting("Share of a box's sides that is added around it.", "Recipe", ge=0, le=1)
    ] = 0.1
    occluded: Annotated[bool, setting("Take things that something stands before.", "Recipe")] = True
    truncated: Annotated[bool, setting("Take things that reach beyond the photo.", "Recipe")] = True
    depiction: Annotated[bool, setting("Take drawings, toys and statues.", "Recipe")] = False
    group: Annotated[bool, setting("Take boxes around whole groups.", "Recipe")] = False
    parallel: Annotated[
        int, setting("Photos fetched at once, at most four of them from one host.", "Recipe", ge=1, le=64)
    ] = 16
    pause: Annotated[
        float, setting("Seconds from one request to a host to the next.", "Recipe", ge=0.02, le=60)
    ] = 0.1
    metadata: Annotated[
        str,
        setting(
            "Address of the metadata, or a folder that has it.", "Recipe", "ADDRESS|FOLDER", min_length=1
        ),
    ] = ADDRESS
    split: str = "stratified"
    presize: Annotated[
        OptionalInt, setting("Size of boxes before augmentation; twice --size if empty.", "Data")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _keep_photos_together(cls, given: Any) -> Any:
        drawn = given.get("split", "stratified") in ("recipe", "random", "stratified")
        return {**given, "group_by": ONE_PHOTO} if drawn and not given.get("group_by") else given


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
