"""Fastai's DataLoader over the cache: the same items in the same order, made ahead in threads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from itertools import islice
from typing import Any

from fastai.data.core import Pipeline, TfmdDL

from visionkit.loading.ahead import Ahead, Makers
from visionkit.loading.batches import Batch, Feed
from visionkit.loading.seeded import SeededLoading, as_lists, attributes, generator_at
from visionkit.loading.seeding import seed_of, seeded
from visionkit.loading.share import Share


class CachedLoading(SeededLoading):
    """What a loader over the cache does differently; mixed into the class of the loader that it stands for.

    All random numbers of a batch come from the loader's own generator and the batch's number, so they do not
    depend on how many threads make it, nor on what else draws numbers meanwhile. When an epoch is over, the
    first batches of the next one are begun.
    """

    own = SeededLoading.own | {"feed", "makers", "begun", "part"}

    feed: Feed
    makers: Makers
    begun: Ahead | None
    part: int | None
    """Of the data set, by fastai's `split_idx`, that the feed makes batches of."""

    def __iter__(self: Any) -> Iterator[Batch]:
        if self.dataset.split_idx != self.part:  # test-time augmentation: validation images, training's way
            yield from self._plainly()
            return
        self.before_iter()
        skipped = self._start()
        epoch, self.begun = self.begun, None
        if epoch is None or not epoch.is_for(self.bs, list(self.after_batch.fs), self.rng):
            self._take_back(epoch)
            epoch = self._begin(skipped)
        self._before = epoch.before
        rest = Pipeline(self.feed.rest(epoch.transforms), split_idx=self.after_batch.split_idx)
        try:
            for number, batch in enumerate(epoch, skipped):
                finished = batch if self.device is None else self.feed.finish(batch, self.device)
                seed = self.batch_seed(seed_of(epoch.seed, number))
                with seeded(seed, self.device) if rest.fs else nullcontext():
                    finished = rest(finished)
                yield finished
            self.after_iter()
            if self.shuffle and self.makers.threads:
                self.begun = self._begin()
        finally:
            epoch.cancel()
            if self._before is epoch.before:
                self._before = None

    def _plainly(self: Any) -> Iterator[Batch]:
        loader = self.plain()
        try:
            yield from loader
        finally:
            self.rng = loader.rng  # so that the next time is another

    def _begin(self: Any, skipped: int = 0) -> Ahead:
        """The next epoch, in a new order, without its first batches."""
        before = self.rng.getstate()
        self.randomize()
        places = list(islice(self.drawn_order(), len(self) * self.bs))
        transforms = list(self.after_batch.fs)
        epoch = Ahead(
            self.feed, places, self.bs, self._epoch_seed(), transforms, self.makers, skipped, self.share
        )
        epoch.before, epoch.after = before, self.rng.getstate()
        return epoch

    def take_share(self: Any, share: Share) -> None:
        if share != self.share:
            self._take_back(self.begun)
            self.begun = None
        super().take_share(share)

    def _take_back(self: Any, epoch: Ahead | None) -> None:
        """Forget an epoch that was begun, and that random numbers were drawn for it."""
        if epoch is not None:
            epoch.cancel()
            if epoch.was_drawn_by(self.rng):  # else somebody has seeded it
                self.rng = generator_at(epoch.before)

    def epoch_state(self: Any) -> list[Any]:
        begun, between = self.begun, self._going_on is None and self._before is None
        if between and begun is not None and begun.was_drawn_by(self.rng):
            return as_lists(begun.before)
        return super().epoch_state()

    def go_on(self: Any, state: list[Any], batches: int) -> None:
        super().go_on(state, batches)
        self._take_back(self.begun)
        self.begun = None

    def one_batch(self: Any) -> Batch:
        """The first batch of a new epoch."""
        if len(self) == 0:
            raise ValueError("This DataLoader does not contain any batches")
        self._take_back(self.begun)
        self.begun = None
        loader = copy.copy(self)
        loader.makers, loader._going_on = Makers(0), None
        batches = iter(loader)
        try:
            return next(batches)
        finally:
            batches.close()
            self.rng = loader.rng

    def new(self: Any, dataset: Any = None, cls: Any = None, **kwargs: Any) -> TfmdDL:
        """A loader of the same images with other options; of other images, one without the cache."""
        same = dataset is None or dataset is self.dataset
        made: TfmdDL = self.plain().new(dataset, cls, **kwargs)
        self._n_inp, self._types = made._n_inp, made._types  # an item is made to find them
        if not same or cls is not None or not _OPTIONS.issuperset(kwargs):
            return made
        return over_cache(made, self.feed, self.makers, self.part)

    def __copy__(self: Any) -> Any:
        made = object.__new__(type(self))
        made.__dict__.update(attributes(self), begun=None)
        return made

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        return over_cache(copy.deepcopy(self.plain(), memo), self.feed, self.makers, self.part)

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return _itself, (self.plain(),)  # wherever it is read, the cache may not be there


_OPTIONS = frozenset({"bs", "shuffle", "drop_last", "num_workers", "device", "get_idxs"})
"""What a new loader may be asked for and still take its images from the cache."""


def _itself(loader: TfmdDL) -> TfmdDL:
    return loader


def over_cache(stock: TfmdDL, feed: Feed, makers: Makers, part: int | None = None) -> TfmdDL:
    """A loader that does what `stock` does, with images from `feed`.

    Args:
        stock: fastai's own loader, or one with its own random numbers.
        feed: makes its batches.
        makers: the threads.
        part: of the data set that the feed is for; the one that `stock` is set to where None.
    """
    kind: Any = type(stock)
    loader = object.__new__(_cached_class(kind))
    loader.__dict__.update(attributes(stock))
    loader.feed, loader.makers, loader.begun = feed, makers, None
    loader.part = stock.dataset.split_idx if part is None else part
    made: TfmdDL = loader
    return made


@cache
def _cached_class(kind: type[TfmdDL]) -> Any:
    return type(f"Cached{kind.__name__}", (CachedLoading, kind), {"kind": kind})
