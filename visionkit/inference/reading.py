"""Reading images ahead of what computes with them: in threads, in order, with faults for exceptions."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import torch
from PIL import Image

from visionkit.errors import DataError
from visionkit.inference.image_sources import Unusable, fetch_image, is_address, shown_name

Source = str | Path | Image.Image | Unusable
"""An image file, a web address, a picture of Pillow's, or what `find_images` found unusable."""

Located = tuple[str, Path | Image.Image | Unusable]
"""The name of an image, and where it can be read."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Reading(Generic[Made]):
    """What came of one image.

    Args:
        name: its path or address; empty for a picture of Pillow's.
        made: what was made of it; None where it cannot be used.
        fault: why it cannot be used; None where it can.
    """

    name: str
    made: Made | None = None
    fault: str | None = None


def read_images(
    images: Iterable[Source], make: Callable[[Path | Image.Image], Made], threads: int, ahead: int
) -> Iterator[Reading[Made]]:
    """What `make` makes of each image, in the order of `images`.

    Images of the web are fetched one after the other, and deleted once `make` has seen them.

    Args:
        images: any number; only those that are read ahead are in memory.
        make: called in several threads at once; its DataErrors are faults of the image.
        threads: how many.
        ahead: how many images are begun before they are asked for.
    """
    with reader(images, make) as (located, read):
        yield from in_order(read, located, threads, ahead)


@contextmanager
def reader(
    images: Iterable[Source], make: Callable[[Path | Image.Image], Made]
) -> Iterator[tuple[Iterator[Located], Callable[[Located], Reading[Made]]]]:
    """Where the images lie, one by one, and what reads one of them: `read_images` in two parts.

    The first part fetches, and is for one thread; the second may be called in several at once.
    """
    with TemporaryDirectory(prefix="visionkit-") as folder:
        fetched = Path(folder)

        def read(located: Located) -> Reading[Made]:
            name, source = located
            if isinstance(source, Unusable):
                return Reading(name, fault=source.reason)
            try:
                return Reading(name, make(source))
            except DataError as error:
                return Reading(name, fault=str(error))
            finally:
                if isinstance(source, Path) and source.parent == fetched:
                    with suppress(OSError):
                        source.unlink()

        yield (_located(image, fetched) for image in images), read


def in_order(
    function: Callable[[Item], Made],
    items: Iterable[Item],
    threads: int,
    ahead: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[Made]:
    """What `function` makes of each item, in their order; at most `ahead` are begun before asked for.

    Without threads, all is made here. `begin` is called once in each thread.
    """
    if threads == 0:
        yield from map(function, items)
        return
    Image.init()  # Pillow loads its decoders at first need, and two threads at once may miss some
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unread in waiting:
                unread.cancel()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, `size` at a time; the last batch may be smaller."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def reader_threads(device: torch.device) -> int:
    """How many threads decode: many beside a GPU; beside the CPU, which computes with all cores, few."""
    cores = os.cpu_count() or 1
    return max(1, cores // 4) if device.type == "cpu" else min(cores, 16)


def _located(image: Source, folder: Path) -> Located:
    """The name of an image, and where it can be read: one of the web is fetched to `folder`."""
    if isinstance(image, Unusable):
        return shown_name(image.name), image
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "")), image
    if not isinstance(image, str) or not is_address(image):
        return os.fspath(image), Path(image)
    name = shown_name(image)
    try:
        return name, fetch_image(image, folder)
    except DataError as error:
        return name, Unusable(name, str(error))
