"""Fastai's DataLoader over the cache: the same items in the same order, made ahead in threads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastai.data.core import Pipeline, TfmdDL

from visionkit.loading.ahead import Ahead, Makers
from visionkit.loading.batches import Batch, Feed


class CachedLoading:
    """What a loader over the cache does differently; mixed into the class of the loader that it stands for.

    All random numbers of a batch come from the loader's own generator and the batch's number, so they do not
    depend on how many threads make it, nor on what else draws numbers meanwhile. When an epoch is over, the
    first batches of the next one are begun.
    """

    feed: Feed
    kind: type[TfmdDL]
    makers: Makers
    begun: Ahead | None
    part: int | None
    """Of the data set, by fastai's `split_idx`, that the feed makes batches of."""

    def __iter__(self: Any) -> Iterator[Batch]:
        if self.dataset.split_idx != self.part:  # test-time augmentation: validation images, training's way
            yield from self.plain()
            return
        self.before_iter()
        epoch, self.begun = self.begun, None
        if epoch is None or not epoch.is_for(self.bs, list(self.after_batch.fs), self.rng):
            self._take_back(epoch)
            epoch = self._begin()
        rest = Pipeline(self.feed.rest(epoch.transforms), split_idx=self.after_batch.split_idx)
        try:
            for batch in epoch:
                yield rest(batch if self.device is None else self.feed.finish(batch, self.device))
        finally:
            epoch.cancel()
        self.after_iter()
        if self.shuffle and self.makers.threads:
            before = copy.copy(self.rng)
            self.begun = self._begin()
            self.begun.rng = before, self.rng.getstate()

    def _begin(self: Any) -> Ahead:
        """The next epoch, in a new order."""
        self.randomize()
        places = list(islice(self.get_idxs(), len(self) * self.bs))
        seed = copy.copy(self.rng).getrandbits(48)  # of a copy: the next epoch's order is as fastai has it
        return Ahead(self.feed, places, self.bs, seed, list(self.after_batch.fs), self.makers)

    def _take_back(self: Any, epoch: Ahead | None) -> None:
        """Forget an epoch that was begun, and that random numbers were drawn for it."""
        if epoch is not None:
            epoch.cancel()
            if epoch.rng is not None and epoch.rng[1] == self.rng.getstate():  # else somebody has seeded it
                self.rng = epoch.rng[0]

    def one_batch(self: Any) -> Batch:
        """The first batch of a new epoch."""
        if len(self) == 0:
            raise ValueError("This DataLoader does not contain any batches")
        self._take_back(self.begun)
        self.begun = None
        loader = copy.copy(self)
        loader.makers = Makers(0)
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

    def plain(self: Any) -> TfmdDL:
        """Fastai's own loader, as this one is now."""
        made = object.__new__(self.kind)
        made.__dict__.update((name, value) for name, value in self.__dict__.items() if name not in _OWN)
        made.fake_l = copy.copy(self.fake_l)
        made.fake_l.d = made.fake_l.default = made
        made.fake_l.dataset = made.fake_l
        return made

    def __copy__(self: Any) -> Any:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, begun=None)
        return made

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        return over_cache(copy.deepcopy(self.plain(), memo), self.feed, self.makers, self.part)

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return _itself, (self.plain(),)  # wherever it is read, the cache may not be there


_OWN = frozenset({"feed", "kind", "makers", "begun", "part"})
_OPTIONS = frozenset({"bs", "shuffle", "drop_last", "num_workers", "device", "get_idxs"})
"""What a new loader may be asked for and still take its images from the cache."""


def _itself(loader: TfmdDL) -> TfmdDL:
    return loader


def over_cache(stock: TfmdDL, feed: Feed, makers: Makers, part: int | None = None) -> TfmdDL:
    """A loader that does what `stock` does, with images from `feed`.

    Args:
        stock: fastai's own loader.
        feed: makes its batches.
        makers: the threads.
        part: of the data set that the feed is for; the one that `stock` is set to where None.
    """
    loader = copy.copy(stock)
    loader.__class__ = type(f"Cached{type(stock).__name__}", (CachedLoading, type(stock)), {})
    loader.feed, loader.kind, loader.makers, loader.begun = feed, type(stock), makers, None
    loader.part = stock.dataset.split_idx if part is None else part
    return loader
