"""What every pixel of a street scene shows, with a U-Net.

Data: CamVid (Brostow, Fauqueur and Cipolla, "Semantic object classes in video", Pattern Recognition Letters
2009), 701 frames of 960x720 px with 32 codes, as fast.ai's archive CAMVID: `images/NAME.png`,
`labels/NAME_P.png`, `codes.txt`, `valid.txt`. Licence: free for research.

Reference: resnet34, accuracy without void 0.9270 at half size and 0.9333 at full size (fast.ai course v3,
lesson 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.recipe import Recipe, Sample
from visionkit.settings import LearningRate, TrainSettings
from visionkit.sources import FastaiArchive

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class CamvidSettings(TrainSettings):
    """As in the course's lesson: half size, then full size. Sizes are heights of the frame."""

    size: int = 360
    then: tuple[int, ...] = (720,)
    freeze_epochs: tuple[int, ...] = (10,)
    epochs: tuple[int, ...] = (12,)
    bs: int = 8
    lr: LearningRate = 0.003
    lr_mult: float = 10.0


def datablock(path: Path, settings: CamvidSettings) -> DataBlock:
    """Frames with their masks, `valid.txt` for validation; image and mask are flipped and warped together."""
    import fastai.vision.all as fv

    from visionkit.data.frames import frame_size
    from visionkit.data.images import image_files
    from visionkit.data.masks import IndexMaskBlock, read_codes
    from visionkit.data.splits import validation_list

    frames = image_files(path / "images")
    return fv.DataBlock(
        blocks=(fv.ImageBlock, IndexMaskBlock(read_codes(path / "codes.txt"))),
        get_items=lambda _: frames,
        get_y=lambda frame: path / "labels" / f"{frame.stem}_P.png",
        splitter=validation_list(path / "valid.txt"),
        item_tfms=fv.Resize(frame_size(frames, settings.size), method="squish"),
        batch_tfms=fv.aug_transforms(),
    )


recipe = Recipe(
    name="camvid",
    task="segmentation",
    dataset="CamVid, 32 codes, 701 frames",
    licence="research",
    size="0.6 GB",
    headline="accuracy without void 0.9333 (fast.ai course v3)",
    source=FastaiArchive("CAMVID"),
    datablock=datablock,
    settings=CamvidSettings,
    sample=Sample(
        "visionkit.sources.samples.camvid:draw",
        {"size": 48, "epochs": (6,), "lr": 0.005},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
