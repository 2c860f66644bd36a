"""How photos are brought to the size of a stage: larger first, then turned, warped and lit."""

from __future__ import annotations

from typing import Annotated, Any

from visionkit.setting_types import OptionalInt, setting
from visionkit.settings import TrainSettings


class PhotoSettings(TrainSettings):
    """What recipes for photos of any kind add."""

    presize: Annotated[
        OptionalInt, setting("Size of photos before augmentation; twice --size if empty.", "Recipe")
    ] = None
    flip: Annotated[
        bool,
        setting("Mirror training images left to right; not for digits, text and the like.", "Recipe"),
    ] = True


def photo_transforms(settings: PhotoSettings) -> dict[str, Any]:
    """The transforms of items and batches that a DataBlock takes by these names."""
    import fastai.vision.all as fv

    return {
        "item_tfms": fv.Resize(settings.presize or 2 * settings.size),
        "batch_tfms": fv.aug_transforms(size=settings.size, min_scale=0.75, do_flip=settings.flip),
    }
