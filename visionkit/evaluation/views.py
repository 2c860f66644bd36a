"""Test-time augmentation: several views of an image, and the mean of what a network says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from visionkit.errors import UsageError
from visionkit.evaluation.crops import ENLARGED, take_crops
from visionkit.inference.description import CentreCrop, Interpolate, Resize, Steps
from visionkit.inference.preprocessing import Preprocessing

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.inference.predictor import Predictor

ViewsName = Literal["flips", "dihedral", "crops", "scales"]
SCALES = (0.75, 1.25)
STEP = 32
"""Scaled sides are multiples of this, by which encoders shrink an image."""
_SUITABLE: dict[str, tuple[ViewsName, ...]] = {
    "single-label": ("flips", "dihedral", "crops"),
    "multi-label": ("flips", "dihedral", "crops"),
    "segmentation": ("flips", "dihedral", "scales"),
    "keypoints": ("flips",),
}
Turn = tuple[bool, bool, bool]
"""Whether rows and columns are exchanged, then rows mirrored up to down, then left to right."""


class Views:
    """The views of one kind; the image itself is always one of them.

    Args:
        name: `flips` adds the mirror image, `dihedral` all eight directions (of images that are not square
            the four that keep their shape), `crops` takes the centre and corners of a larger image, and
            their mirror images, `scales` 3/4 and 5/4 of the size.
        predictor: the model.

    Raises:
        UsageError: such views do not go with the model.
    """

    def __init__(self, name: ViewsName, predictor: Predictor) -> None:
        self.name, self.predictor = name, predictor
        self.size = tuple(predictor.description.input_size)
        if name not in _SUITABLE[predictor.task]:
            known = ", ".join(_SUITABLE[predictor.task])
            raise UsageError(f"--tta {name}: does not go with {predictor.task}; {known} would.")
        if predictor.task == "keypoints" and len(predictor.vocab) > 1:
            raise UsageError(
                f"--tta {name}: a mirror image exchanges left and right, and which of the "
                f"{len(predictor.vocab)} points are pairs is not known."
            )
        self._larger: Preprocessing | None = None
        if name == "crops":
            self._larger = _enlarged(predictor.description.preprocessing, self.size)

    def larger(self, picture: Image.Image) -> Tensor | None:
        """The input that crops are taken from; None for other views."""
        return None if self._larger is None else self._larger(picture)

    def mean(self, inputs: Tensor, larger: Tensor | None) -> Tensor:
        """The mean activations of a batch over its views, as the predictor's `activations`.

        Args:
            inputs: the images as the network takes them.
            larger: those of `larger`, where there are any.
        """
        total: Tensor | None = None
        count = 0
        for view, back in self._of(inputs, larger):
            found = back(self.predictor.activations(self.predictor.outputs(view)))
            total, count = found if total is None else total + found, count + 1
        assert total is not None
        return total / count

    def _of(
        self, inputs: Tensor, larger: Tensor | None
    ) -> Iterator[tuple[Tensor, Callable[[Tensor], Tensor]]]:
        """Views of a batch, each with what brings its activations to those of the image itself."""
        yield inputs, lambda found: found
        if larger is not None:
            for crop in take_crops(larger, self.size[0], 10, self.size[1]):
                yield crop, lambda found: found
        elif self.name == "scales":
            for scale in SCALES:
                yield _scaled(inputs, scale), lambda found: _resized(found, inputs.shape[-2:])
        else:
            for turn in self._turns():
                yield _turned(inputs, turn), partial(self._back, turn)

    def _turns(self) -> list[Turn]:
        if self.name == "flips":
            return [(False, False, True)]
        exchanges = (False, True) if self.size[0] == self.size[1] else (False,)
        turns = [
            (each, down, across) for each in exchanges for down in (False, True) for across in (False, True)
        ]
        return turns[1:]

    def _back(self, turn: Turn, found: Tensor) -> Tensor:
        if self.predictor.task == "segmentation":
            exchanged, down, across = turn
            found = _turned(found, (False, down, across))
            return found.transpose(-1, -2) if exchanged else found
        if self.predictor.task == "keypoints":
            return found * torch.tensor([-1.0, 1.0], device=found.device)
        return found


def suitable_views(dataset: Dataset) -> ViewsName:
    """The views that the recipe's own augmentation calls for.

    The eight directions where training images are turned to all of them, flips where they are mirrored;
    otherwise crops, or scales for masks.
    """
    directions = {_name(function) for each in _transforms(dataset) for function in each}
    if directions & {"dihedral_mat", "Dihedral", "DihedralItem"} and dataset.recipe.task != "keypoints":
        return "dihedral"
    if directions & {"flip_mat", "Flip", "FlipItem"} or dataset.recipe.task == "keypoints":
        return "flips"
    return "scales" if dataset.recipe.task == "segmentation" else "crops"


def _transforms(dataset: Dataset) -> Iterator[list[Any]]:
    """Each transform of the recipe, with what fastai made one of it and others."""
    block = dataset.block()
    for transform in [*block.item_tfms, *block.batch_tfms]:
        yield [transform, *getattr(transform, "aff_fs", ()), *getattr(transform, "coord_fs", ())]


def _name(function: Any) -> str:
    plain = getattr(function, "func", function)
    return str(getattr(plain, "__name__", type(plain).__name__))


def _turned(images: Tensor, turn: Turn) -> Tensor:
    exchanged, down, across = turn
    images = images.transpose(-1, -2) if exchanged else images
    sides = [side for side, mirrored in ((-2, down), (-1, across)) if mirrored]
    return images.flip(sides) if sides else images


def _scaled(images: Tensor, scale: float) -> Tensor:
    sides = [max(STEP, int(side * scale / STEP + 0.5) * STEP) for side in images.shape[-2:]]
    return functional.interpolate(images, size=sides, mode="bilinear", antialias=scale < 1)


def _resized(images: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(images, size=tuple(size), mode="bilinear")


def _enlarged(steps: Steps, size: tuple[int, ...]) -> Preprocessing:
    """The same steps to an image that is larger by `ENLARGED`."""

    def larger(side: int) -> int:
        return max(round(side * ENLARGED), side + 1)

    changed: list[object] = []
    for step in steps.steps:
        if isinstance(step, Resize | CentreCrop):
            sides = {"width": larger(step.width), "height": larger(step.height)}
            changed.append(step.model_copy(update=sides))
        elif isinstance(step, Interpolate) and step.size is not None:
            changed.append(step.model_copy(update={"size": [larger(side) for side in step.size]}))
        else:
            changed.append(step)
    if changed == list(steps.steps):
        raise UsageError(
            "--tta crops: the model was trained without resizing, so there is nothing to cut from."
        )
    made = Steps.model_validate({"mode": steps.mode, "upright": steps.upright, "steps": changed})
    return Preprocessing(made, [larger(side) for side in size])
