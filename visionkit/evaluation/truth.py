"""The true answers of labelled images, in the order of a model's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from visionkit.errors import DataError, listing
from visionkit.inference.description import Interpolate, Normalise, Resize, Steps, ToTensor
from visionkit.inference.preprocessing import Preprocessing

if TYPE_CHECKING:
    from visionkit.evaluation.parts import Part

MaskOf = Callable[[Path], np.ndarray]


def label_truth(part: Part, vocab: Sequence[str]) -> np.ndarray:
    """Class indices, shape (images,). Raises DataError for classes that the model does not know."""
    labels = [_storable(str(label)) for label in part.targets]
    places = _places(part.dataset.path, "class", labels, vocab)
    return np.array([places[label] for label in labels])


def tag_truth(part: Part, vocab: Sequence[str]) -> np.ndarray:
    """0/1, shape (images, tags). Raises DataError for tags that the model does not know."""
    tags = [[_storable(str(tag)) for tag in target] for target in part.targets]
    places = _places(part.dataset.path, "tag", (tag for each in tags for tag in each), vocab)
    table = np.zeros((len(tags), len(vocab)), dtype=int)
    for row, each in zip(table, tags):
        row[[places[tag] for tag in each]] = 1
    return table


def point_truth(part: Part, vocab: Sequence[str]) -> np.ndarray:
    """Pixels of the images as stored, shape (images, points, 2).

    Raises:
        DataError: an image has another number of points than the model.
    """
    for image, points in zip(part.images, part.targets):
        if np.shape(points) != (len(vocab), 2):
            raise DataError(
                f"{image}: it has {len(points)} points, and the model knows {len(vocab)}: "
                f"{listing(list(vocab))}."
            )
    return np.array(part.targets, dtype=float)


def mask_truth(part: Part, vocab: Sequence[str], steps: Steps, size: Sequence[int]) -> MaskOf:
    """Reads the mask in a file as the network sees its image: codes of `vocab`, of height and width `size`.

    Pixels are taken from the nearest one, as in the training's validation.

    Raises:
        DataError: the folder has codes that the model does not know.
    """
    from visionkit.data.mask_reader import mask_reader
    from visionkit.data.masks import read_mask
    from visionkit.tasks.segmentation import mask_codes

    block = part.dataset.block()
    codes = [_storable(code) for code in mask_codes(block.item_tfms)]
    places = _places(part.dataset.path, "code", codes, vocab)
    table = np.zeros(256, dtype=np.uint8)
    table[: len(codes)] = [places[code] for code in codes]
    reader = mask_reader(block)
    read = read_mask if reader is None else reader.read
    bring = Preprocessing(_nearest(steps), size)

    def mask_of(path: Path) -> np.ndarray:
        try:
            seen = bring(Image.fromarray(table[read(path)]).convert("RGB"))  # three times the same
        except DataError as error:
            message = str(error)
            raise DataError(message if message.startswith(str(path)) else f"{path}: {message}.") from error
        return seen[0].round().numpy().astype(np.uint8)

    return mask_of


def _nearest(steps: Steps) -> Steps:
    """The steps for masks: nothing is mixed, and values stay what they are."""
    kept: list[object] = []
    for step in steps.steps:
        if isinstance(step, Resize):
            kept.append(step.model_copy(update={"resample": "nearest"}))
        elif isinstance(step, Interpolate):
            kept.append(step.model_copy(update={"mode": "nearest"}))
        elif isinstance(step, ToTensor):
            kept.append(ToTensor(divisor=1.0))
        elif not isinstance(step, Normalise):
            kept.append(step)
    return Steps.model_validate({"mode": "RGB", "steps": kept})


def _places(folder: Path, kind: str, names: Iterable[str], vocab: Sequence[str]) -> dict[str, int]:
    places = {name: place for place, name in enumerate(vocab)}
    unknown = Counter(name for name in names if name not in places)
    if unknown:
        told = listing([repr(name) for name in sorted(unknown)])
        what = f"the {kind} {told} is none" if len(unknown) == 1 else f"{len(unknown)} names are none"
        more = "" if len(unknown) == 1 else f" ({told})"
        raise DataError(
            f"{folder}: {what} of the {len(vocab)} that the model knows{more}: {listing(list(vocab), 12)}. "
            "Rename them as the model has it, or leave them out."
        )
    return places


def _storable(name: str) -> str:
    """`name` as a bundle writes it, which holds text only."""
    return name.encode("utf-8", "backslashreplace").decode()
