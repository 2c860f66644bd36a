"""Fastai's DataLoader with random numbers that hang on its own generator, and not on who loads its items."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from itertools import count, islice
from random import Random
from types import MethodType
from typing import Any

from fastai.data.core import TfmdDL
from fastai.data.load import _loaders
from fastai.torch_core import to_device

from visionkit.loading.batches import Batch
from visionkit.loading.processes import ended_processes_told, leave_signals_to_the_training
from visionkit.loading.seeding import seed_of, seeded
from visionkit.loading.share import WHOLE, Share

_ORDER, _LOADING, _ITEM, _COLLATED, _BATCH = range(5)
"""What seeds are for: the order of an epoch, what is done between batches, to an item, as items are put
together, and to whole batches.
"""


class SeededLoading:
    """What a loader of visionkit does differently; mixed into the class of the loader that it stands for.

    Every item and every batch is made with random numbers of its own, from the epoch and its place in it. So
    they do not depend on how many processes load, nor on what else draws numbers meanwhile, and the process'
    own random numbers stay as they are. An epoch can be gone on with in its midst.
    """

    kind: type[TfmdDL]
    """Of the loader that it stands for."""
    own: frozenset[str] = frozenset({"_seed", "_skipped", "_order", "_before", "_going_on", "share"})
    """Attributes that a loader of that class has not."""

    _seed: int = 0
    _skipped: int = 0
    _order: Any = ()
    _before: Any = None
    """The generator's state before the epoch under way was drawn; None between epochs."""
    _going_on: tuple[Any, int] | None = None
    """Such a state of the next epoch, and how many of its batches are left out."""
    share: Share = WHOLE
    """Of each batch, which this process makes."""

    def take_share(self: Any, share: Share) -> None:
        """From now on, make only this share of each batch; orders and numbers of batches stay as they are.

        A batch that has no image for the share is left out.
        """
        self.share = share

    def epoch_state(self: Any) -> list[Any]:
        """What order and random numbers of the epoch under way come from; between epochs, those of the next.

        JSON can hold it exactly.
        """
        if self._going_on is not None:
            return as_lists(self._going_on[0])
        return as_lists(self.rng.getstate() if self._before is None else self._before)

    def go_on(self: Any, state: list[Any], batches: int) -> None:
        """Let the next iteration, and no other, be what is left of an epoch; later epochs follow as ever.

        Args:
            state: `epoch_state` of that epoch.
            batches: how many of its batches are left out; they are not made.

        Raises:
            ValueError: the epoch has fewer batches, or `state` is none.
        """
        if not 0 <= batches <= len(self):
            raise ValueError(f"an epoch of {len(self)} batches cannot go on after {batches}")
        self._going_on = _as_state(state), batches

    def _start(self: Any) -> int:
        """Put the generator where the epoch begins; how many of its batches are left out."""
        going_on, self._going_on = self._going_on, None
        if going_on is None:
            return 0
        self.rng = generator_at(going_on[0])
        return int(going_on[1])

    def __iter__(self: Any) -> Iterator[Batch]:
        skipped = self._start()
        before = self.rng.getstate()
        self._before, self._skipped, self._seed = before, skipped, self._epoch_seed()
        seed, loading = self._seed, self._loading()
        try:
            for number in count(skipped):
                with seeded(seed_of(seed, _LOADING, number)):
                    batch = next(loading, None)
                if batch is None:
                    break
                with seeded(self.batch_seed(seed_of(seed, _BATCH, number)), self.device):
                    finished = self.after_batch(
                        batch if self.device is None else to_device(batch, self.device)
                    )
                yield finished
        finally:
            loading.close()
            if self._before is before:  # an iteration that was given up may end later than the next begins
                self._before = None

    def _loading(self: Any) -> Iterator[Batch]:
        """Fastai's `__iter__`, without what is done to whole batches."""
        self.randomize()
        self.before_iter()
        order = self.drawn_order()
        start = self._skipped * (self.bs or 1)
        self._order = list(islice(order, start, None)) if start else order
        batches = _loaders[self.fake_l.num_workers == 0](self.fake_l)
        with ended_processes_told(batches):
            for batch in batches:
                yield tuple(batch) if self.pin_memory and type(batch) is list else batch
        self.after_iter()
        if hasattr(self, "it"):
            del self.it

    def wif(self: Any) -> None:
        """What fastai has a process do that is to load, before it does."""
        leave_signals_to_the_training()

    def batch_seed(self: Any, seed: int) -> int:
        """Of what is done to this process' share of a batch: each share has numbers of its own."""
        return seed_of(seed, self.share.rank) if self.share.rank else seed

    def sample(self: Any) -> Iterator[Any]:
        """The part of the epoch's order that this process loads."""
        size = self.bs or 1
        return (
            index for place, index in enumerate(self._order) if place // size % self.num_workers == self.offs
        )

    def _epoch_seed(self: Any) -> int:
        """Of what is random in the epoch; a validation is the same every time."""
        if getattr(self.dataset, "split_idx", None) == 1 and not self.shuffle:
            return 0
        return copy.copy(self.rng).getrandbits(48)  # of a copy: orders are as fastai has them

    def drawn_order(self: Any) -> Any:
        """Fastai's order of an epoch's items; a loader that draws it in its own way draws from a seed."""
        with seeded(seed_of(copy.copy(self.rng).getrandbits(48), _ORDER)):
            return self.get_idxs()

    def create_batches(self: Any, samps: Any) -> Iterator[Any]:
        """The batches of this process: of the items at `samps`, which are its share of the order."""
        if self.dataset is not None:
            self.it = iter(self.dataset)
        seed, size = self._seed, self.bs or 1
        first, step = self._skipped + self.offs, self.num_workers
        if self.share != WHOLE:
            yield from self._shares(range(self.offs, len(self) - self._skipped, step))
            return
        places = (number * size + place for number in count(first, step) for place in range(size))
        made = (self._item(seed_of(seed, _ITEM, place), sample) for place, sample in zip(places, samps))
        groups = self.chunkify(item for item in made if item is not None)
        for number, items in zip(count(first, step), groups):
            with seeded(seed_of(seed, _COLLATED, number)):
                batch = self.do_batch(items)
            yield batch

    def _shares(self: Any, numbers: range) -> Iterator[Any]:
        """This process' shares of the batches with these numbers, counted from the first that is made."""
        order, size = list(self._order), self.bs or 1
        for place in numbers:
            batch = order[place * size : (place + 1) * size]
            own, number = self.share.of(len(batch)), self._skipped + place
            items = [
                self._item(seed_of(self._seed, _ITEM, number * size + at), batch[at])
                for at in range(own.start, own.stop)
            ]
            if items := [item for item in items if item is not None]:
                with seeded(self.batch_seed(seed_of(self._seed, _COLLATED, number))):
                    yield self.do_batch(items)

    def _item(self: Any, seed: int, sample: Any) -> Any:
        with seeded(seed):
            return self.do_item(sample)

    def one_batch(self: Any) -> Batch:
        """The first batch of a new epoch."""
        outer = self._before, self._going_on
        self._going_on = None
        try:
            batch: Batch = super().one_batch()  # type: ignore[misc]
            return batch
        finally:
            self._before, self._going_on = outer

    def new(self: Any, dataset: Any = None, cls: Any = None, **kwargs: Any) -> TfmdDL:
        """A loader of the same images with other options; of other images, fastai's own."""
        made: TfmdDL = self.plain().new(dataset, cls, **kwargs)
        self._n_inp, self._types = made._n_inp, made._types  # an item is made to find them
        same = dataset is None or dataset is self.dataset
        return seeded_loader(made) if same and cls is None else made

    def plain(self: Any) -> TfmdDL:
        """The loader that this one stands for, as it is now."""
        made = object.__new__(self.kind)
        values = attributes(self)
        made.__dict__.update((name, value) for name, value in values.items() if name not in self.own)
        return _with_own_processes(made)

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        values = {name: value for name, value in attributes(self).items() if name in self.own}
        return seeded_loader, (self.plain(),), values  # processes that are started afresh read it


def seeded_loader(stock: TfmdDL) -> TfmdDL:
    """A loader that does what `stock` does, with random numbers that hang on its own generator."""
    kind: Any = type(stock)
    made = object.__new__(_seeded_class(kind))
    made.__dict__.update(attributes(stock))
    return _with_own_processes(made)


@cache
def _seeded_class(kind: type[TfmdDL]) -> Any:
    return type(f"Seeded{kind.__name__}", (SeededLoading, kind), {"kind": kind})


def _with_own_processes(loader: Any) -> TfmdDL:
    """`loader`, whose batches are made by itself rather than by the one that it was copied from."""
    loader.fake_l = copy.copy(loader.fake_l)
    loader.fake_l.d = loader.fake_l.default = loader
    loader.fake_l.dataset = loader.fake_l
    made: TfmdDL = loader
    return made


def attributes(loader: Any) -> dict[str, Any]:
    """What is kept in `loader`, but for its own methods, which fastai's `show_batch` leaves there."""
    return {
        name: value
        for name, value in loader.__dict__.items()
        if not (isinstance(value, MethodType) and value.__self__ is loader)
    }


def generator_at(state: Any) -> Random:
    """A generator in a state of Python's."""
    generator = Random()
    generator.setstate(state)
    return generator


def as_lists(state: Any) -> list[Any]:
    """A state of Python's generator as lists, which JSON can hold."""
    version, numbers, spare = state
    return [version, list(numbers), spare]


def _as_state(values: list[Any]) -> Any:
    try:
        version, numbers, spare = values
        state = version, tuple(numbers), spare
        Random().setstate(state)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no state of a generator: {error}") from error
    return state
