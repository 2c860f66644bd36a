"""Which training images are drawn more often, so that rare classes are seen as often as common ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastai.callback.data import WeightedDL

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset


def sampling_weights(dataset: Dataset) -> np.ndarray:
    """A weight for each training image of `dataset`, in their order; the sum is 1.

    An image is drawn in proportion to 1 / (training images with its class), so that every class has the same
    chance. With several tags, or codes in its mask, the rarest decides; Void is no code.
    """
    return rarity([_classes(target) for target in _targets(dataset)])


def weighted_loading(dataset: Dataset) -> dict[str, Any]:
    """What `DataBlock.dataloaders` is to be called with, so that training images are drawn by their weights.

    An epoch has as many images as ever, drawn with replacement; validation stays as it is.
    """
    return {"dl_type": OwnWeightedDL, "dl_kwargs": [{"wgts": sampling_weights(dataset)}, {}]}


class OwnWeightedDL(WeightedDL):
    """Fastai's `WeightedDL`, whose order comes from the loader's own generator as that of others does."""

    def get_idxs(self) -> list[int]:
        if not self.shuffle or not self.n:
            return list(super().get_idxs())
        return list(self.rng.choices(range(self.n), weights=self.wgts.tolist(), k=self.n))


def rarity(images: Sequence[Collection[Hashable]]) -> np.ndarray:
    """For images with these classes 1 / (images with the rarest of them), scaled to a sum of 1.

    Images without a class count as a class of their own.
    """
    groups = [set(classes) or {None} for classes in images]
    counts = Counter(name for group in groups for name in group)
    weights = np.array([1 / min(counts[name] for name in group) for group in groups])
    return weights / weights.sum()


def _classes(target: object) -> Collection[Hashable]:
    return target if isinstance(target, (list, tuple, set, frozenset)) else (str(target),)


def _targets(dataset: Dataset) -> list[object]:
    """The training images' targets: a label, or tags; for masks the codes in them."""
    if dataset.recipe.task != "segmentation":
        return [dataset.targets[index] for index in dataset.train]
    from visionkit.data.masks import void_index
    from visionkit.tasks.segmentation import mask_codes
    from visionkit.training.class_weights import mask_pixels

    void = void_index(mask_codes(dataset.block().item_tfms))
    return [[code for code in pixels if code != void] for pixels in mask_pixels(dataset)]
