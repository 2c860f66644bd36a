"""From a recipe's plain DataLoaders to the same ones over the cache."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.vision.core import PointScaler

from visionkit.cache.building import CacheFolder, NoRoom, build
from visionkit.cache.stored import FULL_HEIGHT, FULL_WIDTH, Stored
from visionkit.devices import usable_cores
from visionkit.loading.ahead import Makers
from visionkit.loading.batches import Feed, TrainingFeed, ValidationFeed
from visionkit.loading.items import ItemStep, Unknown
from visionkit.loading.loader import over_cache
from visionkit.loading.on_device import DeviceTrainingFeed
from visionkit.loading.planning import SizePlan, make_kept
from visionkit.loading.targets import Targets, encoded_targets
from visionkit.sources.base import Store

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset


def fill_cache(dataset: Dataset, loaders: Sequence[DataLoaders], store: Store) -> str:
    """Make whatever `loaders` (of one data set, at several sizes) need, in one pass over the images.

    Returns:
        "", or why it cannot be, for people.

    Raises:
        DataError: an image or a mask cannot be used.
    """
    try:
        plans = [SizePlan(dataset, dls) for dls in loaders]
        wanted = {each.key: each for plan in plans for each in (plan.training, plan.validation)}
        make = partial(make_kept, plans)
        build(_folder(store), list(wanted.values()), make, usable_cores(), store.progress)
        return ""
    except (Unknown, NoRoom) as error:
        return str(error)


def serve_from_cache(dataset: Dataset, dls: DataLoaders, store: Store) -> DataLoaders:
    """`dls` over the cache; as it is where the cache lacks its images, or cannot stand in for it.

    Args:
        dataset: whose images they are.
        dls: fastai's own loaders; what else they carry, the others carry too.
        store: where the cache is.
    """
    folder = _folder(store)
    try:
        plan = SizePlan(dataset, dls)
        wanted = plan.training, plan.validation
        training, validation = (folder.find(each.key, len(each.images)) for each in wanted)
        if training is None or validation is None:
            return dls
        train_places = np.asarray(dataset.train, dtype=np.int64)
        valid_places = plan.valid_places
        targets = _targets(plan, dls.train, training, train_places)
        valid_targets = _targets(plan, dls.valid, validation, valid_places)
    except Unknown:
        return dls
    feeds: tuple[Feed, Feed] = (
        training_feed(training, train_places, plan.step, targets, dls.device),
        ValidationFeed(validation, valid_places, valid_targets),
    )
    makers = Makers(dls.train.fake_l.num_workers)
    served = copy(dls)
    served.loaders = [over_cache(loader, feed, makers) for loader, feed in zip(dls.loaders, feeds)]
    return served


def training_feed(
    stored: Stored, places: np.ndarray, step: ItemStep, targets: Targets | None, device: Any
) -> TrainingFeed:
    """The feed that suits the device: images are warped where the network computes."""
    if device is not None and torch.device(device).type == "cuda":
        return DeviceTrainingFeed(stored, places, step, targets, torch.device(device))
    return TrainingFeed(stored, places, step, targets)


def _folder(store: Store) -> CacheFolder:
    return CacheFolder(store.cache_folder, store.cache_bytes)


def _targets(plan: SizePlan, loader: Any, stored: Stored, places: np.ndarray) -> Targets | None:
    if plan.masks:
        return None
    scaler = next((each for each in loader.after_item.fs if isinstance(each, PointScaler)), None)
    return encoded_targets(loader.dataset, scaler, stored.index[places][:, [FULL_HEIGHT, FULL_WIDTH]])
