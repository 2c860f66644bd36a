"""What a model says of any number of images, one by one, while the next ones are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from visionkit.inference.computing import computed
from visionkit.inference.inputs import Input
from visionkit.inference.predictor import Predictor
from visionkit.inference.results import Prediction


@dataclass(frozen=True)
class Answered:
    """What came of one image.

    Args:
        input: the image.
        prediction: what the model says; None where the image cannot be used.
        fault: why it cannot.
        encoded: the content of the image's file, where it was asked for.
        file: what was written for the image, from the folder of the table.
    """

    input: Input
    prediction: Prediction | None = None
    fault: str | None = None
    encoded: bytes = field(default=b"", repr=False)
    file: str = ""


def answers(
    predictor: Predictor, inputs: Sequence[Input], batch: int, keep_files: bool = False
) -> Iterator[Answered]:
    """The answers in the order of `inputs`. Memory holds two batches.

    Args:
        predictor: the model.
        inputs: the images.
        batch: how many are computed at once.
        keep_files: whether answers have the content of the images' files.

    Raises:
        VisionkitError: the device has too little memory, or the weights give no numbers.
    """
    images = (each.image for each in inputs)
    for each, found in zip(inputs, computed(predictor, images, batch, keep_files)):
        if found.fault is not None:
            yield Answered(each, fault=found.fault)
        else:  # a mask at its image's own size may be large: one at a time
            yield Answered(each, found.prediction(), encoded=found.encoded)
