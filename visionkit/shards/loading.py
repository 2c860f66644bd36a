"""What a DataBlock needs for images in shards: what opens them, and a loader that takes them in order."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastai.data.core import TfmdDL
from fastai.vision.core import PILBase, PILImage

from visionkit.data.opening import opened, reason
from visionkit.data.upright import turned_upright
from visionkit.data.upright_block import UprightImage
from visionkit.errors import DataError, VisionkitError
from visionkit.shards.fetching import fetch_ahead
from visionkit.shards.order import shuffled_by_shards
from visionkit.shards.reading import ShardImage


class ShardOpener(UprightImage):
    """Opens images in shards upright; nobody has looked at them before, so whatever they hold is expected.

    Args:
        kind: `PILImage`, or another of fastai's classes of images.
    """

    def __init__(self, kind: type[PILBase] = PILImage) -> None:
        super().__init__(kind)

    def encodes(self, source: Any) -> Any:
        if not isinstance(source, ShardImage):
            return super().encodes(source)
        try:
            with opened(source) as image:
                image.load()
                return self.kind(turned_upright(image).convert("RGB"))
        except VisionkitError:
            raise
        except Exception as error:  # Pillow raises nearly anything on hostile content
            raise DataError(
                f"{source}: the image does not decode ({reason(error)}). Let visionkit check --exclude FILE "
                "list all such images, and leave them out with --skip FILE."
            ) from error


class ShardLoader(TfmdDL):
    """Fastai's loader, whose shuffled epochs read each shard about once.

    Args:
        mixed: images of so many shards are mixed at a time.
    """

    def __init__(self, *args: Any, mixed: int = 8, **options: Any) -> None:
        super().__init__(*args, **options)
        self.mixed = mixed

    def shuffle_fn(self, idxs: Any) -> list[int]:
        """An epoch's order; fetches its shards ahead of those that read them."""
        images = [item for item in self.dataset.items if isinstance(item, ShardImage)]
        if len(images) != len(idxs):
            return list(super().shuffle_fn(idxs))
        order = shuffled_by_shards(shard_numbers(images), self.mixed, self.rng)
        return [idxs[place] for place in order]

    def get_idxs(self) -> Any:
        order = super().get_idxs()
        fetch_ahead(
            [self.dataset.items[place] for place in order] if self.dataset is not None else [], self.mixed
        )
        return order

    def new(self, dataset: Any = None, cls: Any = None, **options: Any) -> TfmdDL:
        made = super().new(dataset, cls, **options)
        if isinstance(made, ShardLoader):
            made.mixed = self.mixed
        return made


def shard_numbers(images: list[ShardImage]) -> np.ndarray:
    """Of each image, the number of its shard."""
    if not images:
        return np.empty(0, np.int32)
    rows = np.fromiter((image.row for image in images), np.int64, len(images))
    return images[0].found.rows["shard"][rows]
