"""The centre of a head in a video frame: one key point, tested on a person that the network has never seen.

Data: BIWI Kinect Head Pose (Fanelli, Dantone, Gall, Fossati and Van Gool, "Random Forests for Real Time 3D
Face Analysis", IJCV 2013), more than 15,000 frames of 640x480 px in 24 sequences of 20 people, four of whom
were filmed twice; as fast.ai's archive BIWI_HEAD_POSE: a folder a sequence (`01` to `24`) with
`frame_00003_rgb.jpg`, `frame_00003_pose.txt` and the camera in `rgb.cal`. Licence: non-commercial use such as
research and education.

Reference: fast.ai course v3, lesson 3 (head pose): resnet34 at 120x160 px, mean squared error of coordinates
from -1 to 1, sequence 13 held out. It reports that loss, and no error in pixels.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from visionkit.recipe import Recipe, Sample
from visionkit.settings import ClassifierSettings, LearningRate, Names, setting
from visionkit.sources import FastaiArchive

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class HeadposeSettings(ClassifierSettings):
    """Size and network as in the course's lesson, which trained the head only. Sizes are heights."""

    size: int = 120
    freeze_epochs: tuple[int, ...] = (5,)
    epochs: tuple[int, ...] = (3,)
    lr: LearningRate = 0.01
    valid_person: Annotated[Names, setting("Folders whose frames validate.", "Recipe", "NAME…")] = ("13",)


def datablock(path: Path, settings: HeadposeSettings) -> DataBlock:
    """Frames with the projected centre of the head, which is flipped, turned and warped with the frame."""
    import fastai.vision.all as fv

    from visionkit.data.biwi import biwi_frames, hold_out
    from visionkit.data.frames import frame_size
    from visionkit.data.points import KeypointBlock

    frames = biwi_frames(path)
    size = frame_size((frame.image for frame in frames), settings.size)
    return fv.DataBlock(
        blocks=(fv.ImageBlock, KeypointBlock(["centre of the head"])),
        get_items=lambda _: frames,
        get_x=attrgetter("image"),
        get_y=attrgetter("points"),
        splitter=hold_out(settings.valid_person),
        item_tfms=fv.Resize(size, method="squish"),
        batch_tfms=fv.aug_transforms(pad_mode="zeros"),  # reflection would show heads twice
    )


recipe = Recipe(
    name="headpose",
    task="keypoints",
    dataset="BIWI Kinect Head Pose, 24 sequences, over 15,000 frames",
    licence="non-commercial",
    size="0.5 GB",
    headline="trained in fast.ai course v3; no error in pixels is given",
    source=FastaiArchive("BIWI_HEAD_POSE"),
    datablock=datablock,
    settings=HeadposeSettings,
    sample=Sample(
        "visionkit.sources.samples.headpose:draw",
        {
            "size": 60,
            "epochs": (17,),
            "bs": 16,
            "lr": 0.005,
            "dropout": 0.0,
            "valid_person": ("13", "14", "15", "16"),
        },
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
