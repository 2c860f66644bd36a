"""Cat or dog: a small network from scratch, or a pretrained one, on a few thousand photos.

Data: Kaggle's competition dogs-vs-cats-redux-kernels-edition (2016), 25,000 photos: `train/cat.0.jpg` and, to
submit, `test/1.jpg`. fast.ai's archive DOGS (`train/cats/cat.0.jpg`, `valid/…`, `test1/…`) is taken too:
`--data fastai:DOGS`. Licence: the competition's rules, which forbid passing the photos on.

Two ways, on 4,000 photos: `visionkit dogscats --subset 4000` starts from resnet34's ImageNet weights, and
`visionkit dogscats --subset 4000 --arch small_vgg --no-pretrained --epochs 64 --size 150 --lr 0.003` trains
four convolution blocks from scratch.

Reference: on 2,000 photos, accuracy 0.79 to 0.81 from scratch in 50 epochs, 0.90 with a classifier on
pretrained features, 0.94 fine-tuned (F. Chollet, "Building powerful image classification models using very
little data", Keras blog, 2016); about 0.80 from scratch on 4,000 photos in 64 epochs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data import dogscats
from visionkit.recipe import Recipe, Sample
from visionkit.sources.kaggle import KaggleCompetition

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class DogsCatsSettings(dogscats.SubsetSettings):
    """A pretrained body, trained as for pets."""

    freeze_epochs: tuple[int, ...] = (3,)
    epochs: tuple[int, ...] = (1,)


def datablock(path: Path, settings: DogsCatsSettings) -> DataBlock:
    """Photos labelled by their names; `valid/` validates where there is one and the whole set is used."""
    import fastai.vision.all as fv

    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock(vocab=dogscats.CLASSES)),
        get_items=lambda folder: dogscats.choose(
            dogscats.labelled_photos(folder), settings.subset, settings.seed
        ),
        get_y=dogscats.label,
        splitter=dogscats.splitter(path, settings),
        item_tfms=fv.Resize(2 * settings.size),
        batch_tfms=fv.aug_transforms(size=settings.size, min_scale=0.75),
    )


recipe = Recipe(
    name="dogscats",
    task="single-label",
    dataset="Dogs vs. Cats Redux, 25,000 photos",
    licence="competition rules",
    size="0.8 GB",
    headline="accuracy 0.80 from scratch, 0.94 fine-tuned, on 2,000 photos (Chollet 2016)",
    source=KaggleCompetition(
        "dogs-vs-cats-redux-kernels-edition", files=("train",), test=("test", "sample_submission.csv")
    ),
    datablock=datablock,
    settings=DogsCatsSettings,
    sample=Sample(
        "visionkit.sources.samples.dogscats:draw", {"size": 64, "epochs": (8,), "bs": 16, "lr": 0.004}
    ),
    remark=dogscats.subset_remark,
    submission=dogscats.SUBMISSION,
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
