"""Running a model over many images: read in threads, computed in batches, and given on as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visionkit.errors import DataError
from visionkit.inference.reading import in_order

if TYPE_CHECKING:
    from visionkit.evaluation.views import Views
    from visionkit.inference.predictor import Predictor
    from visionkit.progress import Progress


@dataclass(frozen=True)
class Answers:
    """What a model says of a batch of images.

    Args:
        places: of the images in the sequence that was asked about.
        sizes: width and height of each image as read, in pixels.
        outputs: logits, or points of -1 to 1.
        mean: the mean activations over the views; None without views.
    """

    places: range
    sizes: list[tuple[int, int]]
    outputs: Tensor
    mean: Tensor | None


class _Input(NamedTuple):
    own: Tensor
    larger: Tensor | None
    size: tuple[int, int]


def answers(
    predictor: Predictor,
    images: Sequence[Path],
    *,
    bs: int,
    threads: int,
    progress: Progress,
    views: Views | None = None,
) -> Iterator[Answers]:
    """Ask `predictor` about `images`, in their order; memory holds a few batches.

    Args:
        predictor: the model.
        images: the files.
        bs: images in a batch.
        threads: that read images; 0 reads them in between.
        progress: hears how many are done.
        views: the mean over these is computed besides.

    Raises:
        DataError: an image cannot be used; the message names it.
    """

    def read(image: Path) -> _Input:
        try:
            picture: Image.Image = predictor.preprocessing.read(image)
            larger = views.larger(picture) if views is not None else None
            return _Input(predictor.preprocessing(picture), larger, picture.size)
        except DataError as error:
            raise DataError(f"{image}: {error}.") from error

    batch: list[_Input] = []
    done = 0
    with progress.track("evaluate", len(images), "images") as advance:
        for each in in_order(read, images, threads, 2 * bs):
            batch.append(each)
            if len(batch) == bs or done + len(batch) == len(images):
                yield _answered(predictor, batch, range(done, done + len(batch)), views)
                advance(len(batch))
                done, batch = done + len(batch), []


def pixels_of(points: np.ndarray, predictor: Predictor, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Points of -1 to 1 over what the network sees, in pixels of the images as stored.

    Args:
        points: shape (images, points, 2) for x and y, as the result.
        predictor: which knows what the network sees.
        sizes: width and height of each image as stored.
    """
    windows = [predictor.preprocessing.window(*size) for size in sizes]
    origin = np.array([(window.left, window.top) for window in windows])
    span = np.array([(window.width, window.height) for window in windows])
    return np.asarray(origin[:, None] + (points.astype(float) + 1) / 2 * span[:, None])


def _answered(predictor: Predictor, batch: Sequence[_Input], places: range, views: Views | None) -> Answers:
    inputs = torch.stack([each.own for each in batch])
    mean = None
    if views is not None:
        larger = [each.larger for each in batch if each.larger is not None]
        mean = views.mean(inputs, torch.stack(larger) if larger else None)
    return Answers(places, [each.size for each in batch], predictor.outputs(inputs), mean)
