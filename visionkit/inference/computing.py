"""Any number of images through a model: decoding and computing side by side, answers in order.

On a CPU, each of several threads takes a part of a batch all the way, from the files to the figures, and
torch computes in the thread that asks: nothing waits for anything else. In one batch after the other, threads
would meet behind every layer, and stand still there when something else has taken a core. Beside a GPU,
threads decode, and the GPU does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visionkit.errors import DataError
from visionkit.inference.reading import (
    Located,
    Reading,
    Source,
    in_batches,
    in_order,
    reader,
    reader_threads,
)

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor
    from visionkit.inference.results import Prediction

SMALLEST_PART = 8
"""Images that a thread takes at once; with fewer, layers cost more than they compute."""


@dataclass(frozen=True)
class Computed:
    """What was computed of one image.

    Args:
        name: its path or address; empty for a picture of Pillow's.
        fault: why it cannot be used; None where it can.
        encoded: the content of its file, where that was asked for.
    """

    name: str
    fault: str | None
    encoded: bytes
    _predictor: Predictor
    _figures: np.ndarray
    _size: tuple[int, int]

    def prediction(self, own_size: bool = True) -> Prediction:
        """What the model says; only where there is no fault. A mask is brought to its size by this call."""
        return self._predictor.interpreted(self._figures[None], [self._size], own_size=own_size)[0]


@dataclass(frozen=True)
class _Picture:
    pixels: Tensor
    size: tuple[int, int]
    encoded: bytes


_NOTHING = np.empty(0)


def computed(
    predictor: Predictor, images: Iterable[Source], batch: int, keep_files: bool = False
) -> Iterator[Computed]:
    """What the model computes of `images`, in their order; memory holds two batches of inputs and of figures.

    Args:
        predictor: the model.
        images: files, addresses and pictures.
        batch: how many are computed at once, by all threads together.
        keep_files: whether the content of the images' files is given on.

    Raises:
        VisionkitError: the device has too little memory, or the weights give no numbers.
    """
    preprocessing = predictor.preprocessing

    def make(image: Path | Image.Image) -> _Picture:
        try:
            picture = preprocessing.read(image)
            encoded = image.read_bytes() if keep_files and isinstance(image, Path) else b""
            return _Picture(preprocessing.pixels(picture), picture.size, encoded)
        except MemoryError:
            raise DataError("there was not enough memory to prepare it") from None
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror or error})") from error

    cores = torch.get_num_threads()
    with reader(images, make) as (located, read):
        first = list(islice(located, batch))
        located = chain(first, located)
        alone = len(first) < 2
        if not predictor.splits:
            threads = 0 if alone else reader_threads(predictor.device)
            for readings in in_batches(in_order(read, located, threads, ahead=batch), batch):
                yield from _together(predictor, readings)
            return

        def answer(part: Sequence[Located]) -> list[Computed]:
            return _together(predictor, [read(each) for each in part])

        _ = predictor.network  # is made once, before the threads
        threads = max(1, min(cores, batch // SMALLEST_PART, len(first)))
        parts = in_batches(located, -(-max(1, len(first)) // threads))
        begin = partial(torch.set_num_threads, max(1, cores // threads))
        try:
            for found in in_order(answer, parts, 0 if alone else threads, ahead=threads, begin=begin):
                yield from found
        finally:
            torch.set_num_threads(cores)  # what later threads of the program begin with


def _together(predictor: Predictor, readings: Sequence[Reading[_Picture]]) -> list[Computed]:
    """What is computed of some images at once."""
    pictures = [reading.made for reading in readings if reading.made is not None]
    figures = iter(_figures(predictor, pictures))
    return [
        Computed(reading.name, reading.fault, b"", predictor, _NOTHING, (0, 0))
        if reading.made is None
        else Computed(reading.name, None, reading.made.encoded, predictor, next(figures), reading.made.size)
        for reading in readings
    ]


def _figures(predictor: Predictor, pictures: Sequence[_Picture]) -> np.ndarray:
    if not pictures:
        return _NOTHING
    preprocessing = predictor.preprocessing
    pixels = [picture.pixels for picture in pictures]
    with torch.inference_mode():
        if any(each.shape != pixels[0].shape for each in pixels):
            inputs = torch.cat([preprocessing.inputs(each[None]) for each in pixels])
        else:
            # as Pillow has them, with the colours innermost, in which interpolation takes half the time
            stacked = torch.stack([each.permute(1, 2, 0) for each in pixels]).permute(0, 3, 1, 2)
            if (
                predictor.device.type == "cuda"
            ):  # a quarter of the bytes are copied, and the GPU does the rest
                stacked = stacked.pin_memory().to(predictor.device, non_blocking=True)
            inputs = preprocessing.inputs(stacked)
    return predictor.figures(predictor.outputs(inputs))
