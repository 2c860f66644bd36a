"""Data that change, vanish or cannot be loaded while a training uses them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastai.callback.core import Callback

from visionkit.checks.memory import Stamp, stamp
from visionkit.checks.training import check_files
from visionkit.data.splits import relative_name
from visionkit.distributed.world import ALONE, World
from visionkit.errors import DataError, VisionkitError, listing
from visionkit.loading.loader import CachedLoading
from visionkit.training.memory import ran_out_of_memory

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.data.dataset import Dataset

_ENDED = re.compile(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (exited unexpectedly|is killed by.*)")
_IN_WORKER = re.compile(r"^Caught \w+ in DataLoader worker process \d+\.")


class Unchanged(Callback):
    """Looks before each epoch whether images and masks are what they were; those from the cache are.

    A file that is gone, or that a training would refuse, ends the training; others are told of once.

    Args:
        dataset: as it was checked.
        note: told of files that changed.
        world: the processes that train together, all of which end where one of them has to.
    """

    order = -90
    run_valid = False

    def __init__(self, dataset: Dataset, note: Callable[[str], None], world: World = ALONE) -> None:
        self.dataset, self.note, self.world = dataset, note, world
        self._stamps: dict[Path, Stamp | None] = {}

    def before_fit(self) -> None:
        if not self._stamps and not is_cached(self.learn.dls):
            self._stamps = {file: stamp(file) for file in _files(self.dataset)}

    def before_train(self) -> None:  # and not before an epoch, which predicting is too, by one process alone
        with self.world.ending_together():
            if self._stamps and not is_cached(self.learn.dls):
                self._look()

    def _look(self) -> None:
        now = {file: stamp(file) for file in self._stamps}
        changed = [file for file, before in self._stamps.items() if now[file] != before]
        if not changed:
            return
        require_usable(self.dataset)
        self._stamps = now
        names = listing([relative_name(file, self.dataset.path) for file in changed])
        files = "a file" if len(changed) == 1 else f"{len(changed):,} files"
        self.note(
            f"warning    {files} of the data set changed during the training, which goes on with what they "
            f"are now: {names}"
        )


@contextmanager
def explained(dataset: Dataset, run: Path) -> Iterator[None]:
    """One message for what goes wrong with data in a training; other errors stay what they are.

    Args:
        dataset: that is trained on.
        run: the run's folder.

    Raises:
        DataError: names the file that is gone or cannot be used any more.
        VisionkitError: a loader process was ended.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{_own_words(error)} {_advice(run)}") from error
    except VisionkitError:
        raise
    except Exception as error:
        if (ended := _ended_worker(error)) is not None:
            raise VisionkitError(
                f"a process that loads images was ended from outside (process {ended}), as systems do that "
                "run out of memory. Take fewer --workers, a smaller --bs, or the cache (--cache auto). "
                f"visionkit resume {shlex.quote(str(run))} goes on from what is saved."
            ) from error
        if not ran_out_of_memory(error):
            try:
                require_usable(dataset)
            except DataError as found:
                raise DataError(f"{found} {_advice(run)}") from error
        raise


@contextmanager
def plots_may_lack_images(dataset: Dataset, note: Callable[[str], None]) -> Iterator[None]:
    """Do without plots where their images are gone or spoilt: the trained model is worth more."""
    try:
        yield
    except Exception:
        try:
            require_usable(dataset)
        except DataError as found:
            note(f"plots      not all are drawn, as visionkit plot can once that is mended: {found}")
            return
        raise


def require_usable(dataset: Dataset) -> None:
    """Look again at the files of `dataset` that are not what they were.

    Raises:
        DataError: names those that cannot be trained on any more.
    """
    gone = [file for file in _files(dataset) if not file.exists()]
    if gone:
        names = listing([relative_name(file, dataset.path) for file in gone])
        files = "a file is" if len(gone) == 1 else f"{len(gone):,} files are"
        raise DataError(f"{dataset.path}: {files} gone since the training began: {names}.")
    if dataset.store is not None and not dataset.recipe.streamed:
        check_files(dataset, dataset.store)


def is_cached(dls: DataLoaders) -> bool:
    """Whether the images of `dls` come from the cache, and their files are not needed."""
    return isinstance(dls.train, CachedLoading)


def _files(dataset: Dataset) -> list[Path]:
    if dataset.recipe.streamed:
        return []
    masks = map(Path, dataset.targets) if dataset.recipe.task == "segmentation" else ()
    return list(dict.fromkeys([*dataset.images, *masks]))


def _ended_worker(error: BaseException | None) -> str | None:
    """The number of the loader process whose end `error` tells of, or what it came from."""
    while error is not None:
        if isinstance(error, RuntimeError) and (found := _ENDED.search(str(error))):
            return found[1]
        error = error.__cause__ or error.__context__
    return None


def _own_words(error: DataError) -> str:
    """The message alone, where torch has put the traceback of a loader process before it."""
    text = str(error)
    if not _IN_WORKER.match(text):
        return text
    return text.rpartition("visionkit.errors.")[2].partition(": ")[2].strip()


def _advice(run: Path) -> str:
    return f"Once that is mended, visionkit resume {shlex.quote(str(run))} goes on."
