"""One label or many: your own images in tar files, here or in an object store, too many for one disk.

Data: yours, in shards by the convention of WebDataset: `KEY.jpg` beside `KEY.cls`, `KEY.txt` or `KEY.json`
with `label` or `tags`. Named by a folder, or a pattern such as `--data 's3://bucket/train-{000000..000146}.tar'`
at any address that fsspec knows. Shards are fetched as they are needed, and no more are kept than `shards_gb`
of [cache] allows. Licence: yours.

Reference: none; the sample is the pets recipe's, in shards.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data.photos import photo_transforms
from visionkit.data.shard_sets import ShardSettings, describe_shards, split_by_shards, task_of_shards
from visionkit.recipe import Recipe, Sample
from visionkit.settings import MultiLabelSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class ShardsSettings(ShardSettings, MultiLabelSettings):
    """The head first, then the whole network."""

    freeze_epochs: tuple[int, ...] = (3,)
    epochs: tuple[int, ...] = (3,)


def datablock(path: Path, settings: ShardsSettings) -> DataBlock:
    """Images of shards, with the labels that lie beside them."""
    import fastai.vision.all as fv

    from visionkit.shards.loading import ShardLoader, ShardOpener
    from visionkit.shards.source import shard_set

    found = shard_set(path)
    images, labels = found.images
    block = fv.DataBlock(
        blocks=(
            fv.TransformBlock(type_tfms=ShardOpener(), batch_tfms=fv.IntToFloatTensor),
            fv.MultiCategoryBlock if found.tags else fv.CategoryBlock,
        ),
        get_items=lambda _: images,
        get_y=lambda image: labels[image.row] if found.tags else labels[image.row][0],
        splitter=split_by_shards(found, settings),
        dl_type=ShardLoader,
        **photo_transforms(settings),
    )
    block.dls_kwargs = {**block.dls_kwargs, "mixed": settings.mix_shards}
    return block


recipe = Recipe(
    name="shards",
    task="single-label",
    task_of=task_of_shards,
    dataset="images in shards of your own",
    licence="yours",
    headline="none, the data is yours",
    source=None,
    datablock=datablock,
    settings=ShardsSettings,
    remark=describe_shards,
    streamed=True,
    sample=Sample(
        "visionkit.sources.samples.shards:draw",
        {"size": 64, "epochs": (10,), "dropout": 0.0, "bs": 16, "lr": 0.004, "mix_shards": 2},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
