"""What of a data set has to be kept for its loaders at one size, and how that is made of a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from fastai.data.core import DataLoaders, Pipeline
from fastai.data.transforms import IntToFloatTensor
from fastai.vision.augment import AffineCoordTfm
from fastai.vision.core import PILMask
from PIL import Image
from torch import Tensor

from visionkit.cache.building import Wanted
from visionkit.cache.keys import cache_key
from visionkit.cache.pictures import decode, kept_mask, kept_picture
from visionkit.cache.stored import Kept
from visionkit.errors import DataError, VisionkitError
from visionkit.loading.drawing import BatchSteps
from visionkit.loading.items import ItemStep, Unknown
from visionkit.loading.openers import image_opener, mask_opener_key

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset


class SizePlan:
    """What is kept of a data set for loaders at one size: images for training, items for validation.

    Args:
        dataset: whose images they are.
        dls: fastai's own loaders of them.

    Raises:
        Unknown: the recipe does something that the cache cannot stand in for.
    """

    def __init__(self, dataset: Dataset, dls: DataLoaders) -> None:
        block = dataset.block(dls.settings)
        opener = image_opener(block)
        if len(block.type_tfms) != 2 or len(dls.loaders) != 2:
            raise Unknown("it takes one image and one target for each item")
        if dls.train.before_batch.fs or dls.valid.before_batch.fs:
            raise Unknown("the recipe changes items before they are put into a batch")
        self.dataset, self.dls = dataset, dls
        self.masks = dataset.recipe.task == "segmentation"
        self.step = ItemStep.of(list(dls.train.after_item.fs), opener.mode, opener.upright)
        if dataset.recipe.task == "keypoints" and not self.step.fixed:
            raise Unknown("it does not move points with random parts of images")
        self.codes = len(dataset.task.vocab(dls)) if self.masks else 0
        kept = np.unique(dataset.valid)  # each once, however often the split has it
        self.valid_places = np.searchsorted(kept, dataset.valid)
        steps = BatchSteps.of(list(dls.valid.after_batch.fs))
        self._made_before = list(steps.geometric) if _changes_items(steps.geometric) else []
        of_masks = f"{mask_opener_key(block)}, {self.codes} codes" if self.masks else ""
        training = json.dumps([asdict(self.step.form), of_masks])
        steps_before = [self.step.transform, *self._made_before]
        if self._made_before:
            steps_before += [each for each in dls.valid.after_batch.fs if isinstance(each, IntToFloatTensor)]
        validation = json.dumps([opener, list(map(_described, steps_before)), of_masks])
        self.training = self._wanted("training", training, range(len(dataset.images)))
        self.validation = self._wanted("validation", validation, kept.tolist())
        self._rank = {number: rank for rank, number in enumerate(dataset.valid)}
        self._mask_openers = list(block.type_tfms[1])
        self._of_thread = threading.local()

    def _wanted(self, kind: str, treatment: str, numbers: Sequence[int]) -> Wanted:
        dataset = self.dataset
        files = [dataset.images[number] for number in numbers]
        if self.masks:
            files += [dataset.targets[number] for number in numbers]
        height, width = self.step.size
        about = {
            "kind": kind,
            "recipe": dataset.recipe.name,
            "data": str(dataset.path.resolve()),
            "size": f"{width}x{height}",
        }
        return Wanted(cache_key(kind, treatment, files), numbers, about)

    def open(self, number: int) -> Image.Image:
        """The validation image with this number at full scale, as fastai's data set has it."""
        try:
            picture: Image.Image = self.dls.valid.dataset.tls[0][self._rank[number]]
            return picture
        except VisionkitError:
            raise
        except Exception as error:  # Pillow raises nearly anything on hostile content
            raise DataError(f"{self.dataset.images[number]}: the image does not decode ({error}).") from error

    def mask(self, number: int) -> np.ndarray | None:
        """The codes of an image's mask; None where the targets are no masks.

        Raises:
            DataError: it does not decode, or holds others.
        """
        if not self.masks:
            return None
        opened: Any = self.dataset.targets[number]
        try:
            for function in self._mask_openers:
                opened = function(opened)
        except VisionkitError:
            raise
        except Exception as error:  # likewise
            raise DataError(f"{self.dataset.targets[number]}: the mask does not decode ({error}).") from error
        return self._checked(np.asarray(opened), number)

    def _checked(self, codes: np.ndarray, number: int) -> np.ndarray:
        if codes.max(initial=0) >= self.codes:
            raise DataError(
                f"{self.dataset.targets[number]}: the mask holds the code {int(codes.max())}; there are "
                f"{self.codes}, from 0."
            )
        return codes

    def item(self, picture: Image.Image, codes: np.ndarray | None) -> Kept:
        """What the validation loader makes of an image and its mask, before it is normalised."""
        target = () if codes is None else (PILMask.create(codes),)
        made = self._after_item()((picture, *target))
        if self._made_before:
            batch = tuple(type(part)(part[None]) for part in made)
            made = [part[0] for part in self._before()(batch)]
        pixels = made[0].as_subclass(Tensor).permute(1, 2, 0).numpy()
        mask = None if codes is None else made[1].as_subclass(Tensor).numpy().astype(np.uint8)
        return Kept(pixels, mask, picture.size)

    def _after_item(self) -> Pipeline:
        """The validation's item transforms, of this thread: they keep what they draw in themselves."""
        own = self._of_thread
        if not hasattr(own, "items"):
            own.items = Pipeline(deepcopy(list(self.dls.valid.after_item.fs)), split_idx=1)
        return own.items

    def _before(self) -> Pipeline:
        own = self._of_thread
        if not hasattr(own, "batches"):
            fs = [
                each
                for each in self.dls.valid.after_batch.fs
                if each in self._made_before or isinstance(each, IntToFloatTensor)
            ]
            own.batches = Pipeline(deepcopy(fs), split_idx=1)
        return own.batches


def make_kept(plans: Sequence[SizePlan], number: int, keys: Sequence[str]) -> Mapping[str, Kept]:
    """What is kept of the image with this number, for each of these caches; it is decoded once.

    Raises:
        DataError: the image or its mask cannot be used.
    """
    first = plans[0]
    kept: dict[str, Kept] = {}
    items = [plan for plan in plans if plan.validation.key in keys]
    pictures = [plan for plan in plans if plan.training.key in keys]
    codes = first.mask(number)
    if items:
        picture = first.open(number)
        full = picture.size
        kept |= {plan.validation.key: plan.item(picture, codes) for plan in items}
    else:
        picture, full = decode(first.dataset.images[number], [plan.step.form for plan in pictures])
    if codes is not None and codes.shape != full[::-1]:
        raise DataError(
            f"{first.dataset.targets[number]}: the mask has {codes.shape[1]} x {codes.shape[0]} px, and its "
            f"image {full[0]} x {full[1]}."
        )
    for plan in pictures:
        form = plan.step.form
        mask = None if codes is None else kept_mask(codes, form)
        kept[plan.training.key] = Kept(kept_picture(picture, form, full), mask, full)
    return kept


def _changes_items(geometric: Sequence[Any]) -> bool:
    """Whether these transforms do more in validation than to interpolate an image at its own pixels."""
    return any(not isinstance(each, AffineCoordTfm) or each.size is not None for each in geometric)


_OPTIONS = (
    *("size", "method", "mode", "mode_mask", "pad_mode", "align_corners"),
    *("val_xtra", "ratio", "valid_scale", "div", "div_mask"),
)


def _described(transform: Any) -> list[str]:
    """What tells this transform of fastai's from others, as far as validation goes."""
    options = [f"{name}={getattr(transform, name)}" for name in _OPTIONS if hasattr(transform, name)]
    return [type(transform).__name__, *options]
