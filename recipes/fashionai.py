"""How long a skirt is, or another of eight attributes of clothes, from a shop's photo.

Data: FashionAI attributes (Tianchi competition 231649, 2018; X. Zou et al., "FashionAI: A Hierarchical
Dataset for Fashion Understanding", CVPR Workshops 2019), about 80,000 photos of 512 px, as
`base/Annotations/label.csv`, without header, and `base/Images/skirt_length_labels/NAME.jpg`. Each row has a
letter for every value: y, n, or m for maybe. To be had from Tianchi, for whoever registers there. Licence:
the competition's rules, for research.

Reference: validation mAP 0.922 on skirt length after two epochs of MXNet's resnet50_v2 at 224 px, mAP 0.95
over the eight attributes on the leaderboard (T. He, Gluon-FashionAI-Attributes, 2018). That tutorial's
validation mAP is the mean reciprocal rank of the right value, in a run's figures `reciprocal_rank`;
`average_precision` is the competition's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data.fashionai import PAGE, VALUES, AttributeSettings, attribute_remark, read_annotations
from visionkit.evaluation.attribute_scores import attribute_scores
from visionkit.recipe import Recipe, Sample

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class FashionAISettings(AttributeSettings):
    """A resnet50 in two epochs, as the tutorial that the reference is from."""

    arch: str = "resnet50"
    freeze_epochs: tuple[int, ...] = (1,)
    epochs: tuple[int, ...] = (1,)
    valid_pct: float = 0.1


def datablock(path: Path, settings: FashionAISettings) -> DataBlock:
    """Photos with one attribute's values; validation sees them whole, as skirts reach down to the edge."""
    import fastai.vision.all as fv

    photos = read_annotations(path, settings.attribute)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock(vocab=VALUES[settings.attribute], sort=False)),
        get_items=lambda _: photos,
        get_x=lambda photo: photo.path,
        get_y=lambda photo: photo.value,
        splitter=fv.RandomSplitter(settings.valid_pct, seed=settings.seed),
        item_tfms=fv.Resize(round(settings.size * 8 / 7), method="pad", pad_mode="border"),
        batch_tfms=fv.aug_transforms(size=settings.size, min_scale=0.75, max_rotate=5.0, max_warp=0.1),
    )


recipe = Recipe(
    name="fashionai",
    task="single-label",
    dataset="FashionAI, eight attributes of clothes, 80,000 photos",
    licence="competition rules",
    headline="mAP 0.922 on skirt length after two epochs (Gluon tutorial, as a reciprocal rank)",
    source=None,
    where=f"The photos are given out at {PAGE}, to whoever registers there.",
    datablock=datablock,
    settings=FashionAISettings,
    sample=Sample(
        "visionkit.sources.samples.fashionai:draw",
        {"size": 64, "arch": "small_vgg", "epochs": (12,), "bs": 16, "lr": 0.01, "dropout": 0.1},
    ),
    remark=attribute_remark,
    scores=attribute_scores,
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
