"""What a model says of any number of images, one by one, while the next ones are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from visionkit.errors import DataError
from visionkit.inference.inputs import Input
from visionkit.inference.predictor import Predictor
from visionkit.inference.reading import in_batches, read_images, reader_threads
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


@dataclass(frozen=True)
class _Picture:
    values: Tensor
    size: tuple[int, int]
    encoded: bytes


def answers(
    predictor: Predictor, inputs: Sequence[Input], batch: int, keep_files: bool = False
) -> Iterator[Answered]:
    """The answers in the order of `inputs`. Memory holds two batches of inputs, and one of outputs.

    Args:
        predictor: the model.
        inputs: the images.
        batch: how many are computed at once.
        keep_files: whether answers have the content of the images' files.

    Raises:
        VisionkitError: the device has too little memory, or the weights give no numbers.
    """
    preprocessing = predictor.preprocessing

    def make(image: Path | Image.Image) -> _Picture:
        try:
            picture = preprocessing.read(image)
            encoded = image.read_bytes() if keep_files and isinstance(image, Path) else b""
            return _Picture(preprocessing(picture), picture.size, encoded)
        except MemoryError:
            raise DataError("there was not enough memory to prepare it") from None
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror or error})") from error

    images = (each.image for each in inputs)
    readings = read_images(images, make, reader_threads(predictor.device), ahead=batch)
    for pairs in in_batches(zip(inputs, readings), batch):
        pictures = [reading.made for _, reading in pairs if reading.made is not None]
        predictions = _predictions(predictor, pictures)
        for each, reading in pairs:
            if reading.made is None:
                yield Answered(each, fault=reading.fault)
            else:
                yield Answered(each, next(predictions), encoded=reading.made.encoded)


def _predictions(predictor: Predictor, pictures: Sequence[_Picture]) -> Iterator[Prediction]:
    """One by one, since a mask at its image's own size may be large."""
    if not pictures:
        return
    outputs = predictor.outputs(torch.stack([each.values for each in pictures]))
    if predictor.task == "segmentation":
        for place, each in enumerate(pictures):
            yield from predictor.decode(outputs[place : place + 1], [each.size])
    else:
        yield from predictor.decode(outputs, [each.size for each in pictures])
