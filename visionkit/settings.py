"""The settings of a training: one typed object, its limits and its help texts.

A recipe subclasses `TrainSettings` and states only what differs; a field that it redeclares with another
default keeps help text and limits. The command line's flags, settings.ini and run.json all use these names.
"""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from visionkit.errors import UsageError
from visionkit.setting_types import ClassWeights, Counts, LossName, OptionalFolds, PositiveInts, Precision
from visionkit.setting_types import LearningRate as LearningRate  # recipes take these from here
from visionkit.setting_types import Names as Names
from visionkit.setting_types import OptionalInt as OptionalInt
from visionkit.setting_types import OptionalPath as OptionalPath
from visionkit.setting_types import setting as setting

DEFAULT_BATCH = 64
"""Images in a batch where nobody says how many, and nothing is trained that would show how many fit."""


class TrainSettings(BaseModel):
    """What can be set of any training. Immutable; `replaced` gives a changed copy."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    size: Annotated[int, setting("Image size of the first stage, in pixels.", "Stages", ge=1)] = 224
    then: Annotated[
        PositiveInts, setting("Sizes to go on at afterwards: progressive resizing.", "Stages")
    ] = ()
    freeze_epochs: Annotated[
        Counts,
        setting(
            "Epochs with the pretrained body frozen; one number, or one for each size. From scratch there "
            "are none.",
            "Stages",
        ),
    ] = (1,)
    epochs: Annotated[
        Counts, setting("Epochs with the whole network training; one number, or one for each size.", "Stages")
    ] = (1,)
    lr: Annotated[
        Annotated[float, Field(gt=0)] | Literal["auto"],
        setting("Peak learning rate of the first stage, or 'auto' for the valley of lr_find.", "Stages"),
    ] = 0.002
    lr_mult: Annotated[
        float, setting("How much slower the first layers learn than the head, unfrozen.", "Stages", ge=1)
    ] = 100.0
    wd: Annotated[float, setting("Weight decay.", "Stages", ge=0)] = 0.01
    patience: Annotated[
        int,
        setting(
            "End an unfrozen stage after so many epochs without a better headline metric, and go on with the "
            "next; 0 never does.",
            "Stages",
            ge=0,
        ),
    ] = 0
    keep: Annotated[
        Literal["last", "best"],
        setting(
            "Which weights the training leaves: those of its last epoch, or of the epoch at the last size "
            "with the best headline metric.",
            "Stages",
        ),
    ] = "last"
    bs: Annotated[
        Annotated[int, Field(ge=2)] | Literal["auto"],
        setting(
            "Images in a batch, or 'auto' for as many as memory has room for, with 20 batches an epoch at "
            "least: larger ones would leave too few steps.",
            "Stages",
        ),
    ] = 64

    arch: Annotated[
        str,
        setting(
            "Body: a model name of torchvision, or of timm where that is installed.", "Model", min_length=1
        ),
    ] = "resnet34"
    pretrained: Annotated[bool, setting("Start from ImageNet weights, or from scratch.", "Model")] = True
    weights: Annotated[
        OptionalPath, setting("State dict for the body, a .safetensors or .pth file.", "Model")
    ] = None

    valid_pct: Annotated[
        float, setting("Part held out for validation where the data set names none.", "Data", gt=0, lt=1)
    ] = 0.2
    split: Annotated[
        str,
        setting(
            "Who validates: recipe, random, stratified (by label or tags), folder (train/ and valid/), a "
            "list of images, or a run.",
            "Data",
            "KIND|FILE|RUN",
            min_length=1,
        ),
    ] = "recipe"
    group_by: Annotated[
        str,
        setting(
            "Regular expression on an image's path: images for which it finds the same stay together.",
            "Data",
            "REGEX",
        ),
    ] = ""
    folds: Annotated[
        OptionalFolds, setting("Cut the images into so many folds, one of which validates.", "Data")
    ] = None
    fold: Annotated[int, setting("Which of the folds validates, from 1.", "Data", ge=1)] = 1
    skip: Annotated[
        OptionalPath,
        setting("List of files to leave out, one a line, as visionkit check --exclude writes it.", "Data"),
    ] = None
    seed: Annotated[int, setting("Fixes split, weights, order and augmentation.", "Data", ge=0, lt=2**32)] = (
        42
    )

    loss: Annotated[
        LossName,
        setting(
            "What is minimised: cross-entropy, focal, or bce (binary cross-entropy); for masks "
            "cross-entropy, focal, dice or cross-entropy+dice. auto is bce for tags, else cross-entropy.",
            "Loss",
            "LOSS",
        ),
    ] = "auto"
    class_weights: Annotated[
        ClassWeights,
        setting(
            "Rare classes count more: auto, by how rare they are in training, or a CSV file with the columns "
            "class and weight, or JSON.",
            "Loss",
            "auto|none|FILE",
        ),
    ] = "none"
    label_smoothing: Annotated[
        float, setting("Share of each target that goes to all classes alike.", "Loss", ge=0, lt=1)
    ] = 0.0
    mixup: Annotated[
        float,
        setting("Blend pairs of training images and labels: alpha, such as 0.4; 0 is off.", "Loss", ge=0),
    ] = 0.0
    cutmix: Annotated[
        float,
        setting(
            "Paste parts of training images into others: alpha, such as 1; 0 is off. With mixup, a coin "
            "decides for each batch.",
            "Loss",
            ge=0,
        ),
    ] = 0.0
    weighted_sampling: Annotated[
        bool, setting("Draw training images of rare classes as often as those of common ones.", "Loss")
    ] = False
    ema: Annotated[
        float,
        setting(
            "Validate and end with a moving average of the weights: its decay, such as 0.999; 0 is off.",
            "Loss",
            ge=0,
            lt=1,
        ),
    ] = 0.0
    on_nan: Annotated[
        Literal["stop", "skip"],
        setting(
            "What becomes of a training whose loss is NaN or infinite: it stops, or skips such batches while "
            "they are few.",
            "Loss",
        ),
    ] = "stop"

    precision: Annotated[Precision, setting("Number format of the training.", "Machine")] = "auto"
    device: Annotated[str, setting("auto, cpu, cuda, cuda:1 or mps.", "Machine", "DEVICE", min_length=1)] = (
        "auto"
    )
    gpus: Annotated[
        int,
        setting(
            "Processes that train together, each on a GPU of its own; with --device cpu, on the CPU. A batch "
            "is divided between them, so --bs, --lr and the result stay as they are.",
            "Machine",
            ge=1,
        ),
    ] = 1
    sync_bn: Annotated[
        Literal["auto", "on", "off"],
        setting(
            "Whether BatchNorm sees the images of all processes; auto: where each has fewer than 16.",
            "Machine",
        ),
    ] = "auto"
    workers: Annotated[
        Annotated[int, Field(ge=0)] | Literal["auto"],
        setting("Processes that load images; 0 loads in the main one.", "Machine"),
    ] = "auto"
    deterministic: Annotated[
        bool,
        setting(
            "On a GPU take only operations that always give the same, which costs speed; on a CPU all do.",
            "Machine",
        ),
    ] = False
    compile: Annotated[
        bool,
        setting(
            "Make the network one program with torch's compiler: minutes at the start of each stage, for "
            "long trainings.",
            "Machine",
        ),
    ] = False

    checkpoint_minutes: Annotated[
        float,
        setting(
            "Minutes after which a training is saved within an epoch; it is saved after epochs, too.",
            "Machine",
            gt=0,
        ),
    ] = 10.0
    html: Annotated[
        bool, setting("Write report.html at the end: the run as one page for a browser.", "Output")
    ] = True
    tensorboard: Annotated[
        bool, setting("Log to the run's folder tensorboard, by fastai's callback.", "Output")
    ] = False
    wandb: Annotated[
        bool, setting("Log to Weights & Biases, by fastai's callback; first log in: wandb login.", "Output")
    ] = False
    cache: Annotated[
        Literal["auto", "off"],
        setting(
            "auto decodes images once, keeps them on the disk and makes batches from there; off leaves "
            "loading to fastai.",
            "Machine",
        ),
    ] = "auto"

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Give a field that a recipe redeclares with another default the help and limits of its origin."""
        inherited = False
        for name, field in cls.model_fields.items():
            origin = next(
                (
                    base.model_fields[name]
                    for base in cls.__mro__[1:-1]
                    if issubclass(base, TrainSettings) and name in base.model_fields
                ),
                None,
            )
            if origin is not None and field.description is None:
                merged = copy.copy(origin)
                merged.default = field.default
                cls.__pydantic_fields__[name] = merged
                inherited = True
        if inherited:
            cls.model_rebuild(force=True)

    @property
    def batch_size(self) -> int:
        """Images in a batch; 64 for "auto", which a training replaces by what it finds to fit."""
        return DEFAULT_BATCH if self.bs == "auto" else self.bs

    @property
    def sizes(self) -> tuple[int, ...]:
        """All sizes in the order in which they are trained at, in pixels."""
        return (self.size, *self.then)

    def replaced(self, **changes: Any) -> TrainSettings:
        """A validated copy with `changes`. Raises pydantic's `ValidationError` for a wrong value."""
        return type(self).model_validate({**self.model_dump(), **changes})

    def check(self) -> None:
        """Raise `UsageError` for settings that do not go together."""
        self.epochs_at(0)
        if refused := too_few_images(self.bs, self.gpus):
            raise UsageError(refused)
        if self.fold > (self.folds or 1):
            raise UsageError(f"--fold {self.fold}: there are {self.folds or 'no'} folds. Set --folds.")
        drawn = self.split in ("recipe", "random", "stratified")
        if not drawn and (self.group_by or self.folds):
            option = "--group-by" if self.group_by else "--folds"
            raise UsageError(
                f"--split {self.split} says which images validate; {option} does not go with it."
            )

    def epochs_at(self, index: int) -> tuple[int, int]:
        """Frozen and unfrozen epochs at the size with this index."""
        frozen, unfrozen = (
            _nth(name, getattr(self, name), index, self.sizes) for name in ("freeze_epochs", "epochs")
        )
        return frozen, unfrozen


def too_few_images(bs: int | Literal["auto"], processes: int) -> str:
    """Why batches of this size cannot be divided between so many processes; "" where they can."""
    if processes > 1 and bs == "auto":
        return (
            f"--bs auto: what fits is found out for one process, and here are {processes}; give --bs a "
            "number, which counts for all of them together."
        )
    if processes > 1 and int(bs) < 2 * processes:
        return (
            f"--bs {bs}: that is for all {processes} processes together, and each needs two images at least; "
            f"give {2 * processes} or more."
        )
    return ""


def _nth(name: str, counts: tuple[int, ...], index: int, sizes: tuple[int, ...]) -> int:
    if len(counts) not in (1, len(sizes)):
        given, wanted = ", ".join(map(str, counts)), ", ".join(map(str, sizes))
        raise UsageError(
            f"{name} has {len(counts)} numbers ({given}) for {len(sizes)} "
            f"size{'s' if len(sizes) > 1 else ''} ({wanted}): give one number, or one for each size."
        )
    return counts[0] if len(counts) == 1 else counts[index]


class ClassifierSettings(TrainSettings):
    """What classification adds, single- and multi-label."""

    dropout: Annotated[
        float,
        setting(
            "Dropout before the head's last layer; half of it before the one above.", "Model", ge=0, lt=1
        ),
    ] = 0.5


class MultiLabelSettings(ClassifierSettings):
    """What multi-label classification adds."""

    threshold: Annotated[
        float, setting("Probability above which a tag counts as predicted.", "Task", gt=0, lt=1)
    ] = 0.5
