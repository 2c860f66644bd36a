"""What every pixel of your own images shows, by the masks that lie beside them.

Data: yours, as `images/` and `masks/` (or `labels/`). A mask has its image's stem, with one suffix such as
`_mask` behind it or none. What its pixels mean is told by `codes.txt` (its first line names the value 0), by
a class map (a CSV file with the columns name, r, g and b), or found. Masks hold values, plain or with a
palette, or colours. `valid.txt` may list the images that validate. Licence: yours.

Reference: none; the sample is the camvid recipe's, with masks in colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from visionkit.data.masked_images import OwnMasks, describe_masks, find_masks
from visionkit.recipe import Recipe, Sample
from visionkit.settings import LearningRate, setting

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class MasksSettings(OwnMasks):
    """A U-Net, first with its body frozen. Sizes are heights; all images get the first's aspect ratio."""

    freeze_epochs: tuple[int, ...] = (5,)
    epochs: tuple[int, ...] = (10,)
    bs: int = 8
    lr: LearningRate = 0.003
    lr_mult: float = 10.0
    flip: Annotated[bool, setting("Mirror training images and masks left to right.", "Recipe")] = True


def datablock(path: Path, settings: MasksSettings) -> DataBlock:
    """Images with their masks; both are flipped and warped together."""
    import fastai.vision.all as fv

    from visionkit.data.frames import frame_size
    from visionkit.data.masks import IndexMaskBlock

    found = find_masks(path, settings)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, IndexMaskBlock(found.reader.codes, found.reader)),
        get_items=lambda _: list(found.masks),
        get_y=lambda image: found.masks[image],
        splitter=found.splitter,
        item_tfms=fv.Resize(frame_size(found.masks, settings.size), method="squish"),
        batch_tfms=fv.aug_transforms(do_flip=settings.flip),
    )


recipe = Recipe(
    name="masks",
    task="segmentation",
    dataset="images and masks of your own",
    licence="yours",
    headline="none, the data is yours",
    source=None,
    datablock=datablock,
    settings=MasksSettings,
    remark=describe_masks,
    sample=Sample("visionkit.sources.samples.own_masks:draw", {"size": 48, "epochs": (6,), "lr": 0.005}),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
