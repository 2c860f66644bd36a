"""Which images a training batch was made of."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from visionkit.data.splits import relative_name

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders


def batch_files(dls: DataLoaders, state: Any, number: int) -> list[str]:
    """The names of a training batch's images, relative to the data set's folder; none where not known.

    Args:
        dls: a recipe's DataLoaders.
        state: the training loader's `epoch_state` in the epoch.
        number: of the batch in that epoch, from 0.
    """
    origin, loader = getattr(dls, "origin", None), dls.train
    if origin is None or state is None:
        return []
    places = epoch_order(loader, state)[number * loader.bs : (number + 1) * loader.bs]
    images = (origin.images[origin.train[place]] for place in places)
    return [relative_name(image, origin.path) for image in images]


def epoch_order(loader: Any, state: Any) -> Sequence[int]:
    """The places of an epoch's images in the loader's data set, in the order of its batches.

    Args:
        loader: stays as it is.
        state: its `epoch_state` in that epoch.
    """
    twin = copy.copy(loader)
    twin.go_on(state, 0)
    twin._start()
    twin.randomize()
    return [int(place) for place in islice(twin.drawn_order(), len(twin) * twin.bs)]
