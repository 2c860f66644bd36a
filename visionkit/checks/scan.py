"""Looking at many files in parallel, with progress, and only at those that changed since the last time."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import Any, TypeVar

import PIL
from PIL import Image

from visionkit.checks import facts
from visionkit.checks.facts import PASSING, ImageFacts, MaskFacts
from visionkit.checks.memory import Memory, Stamp, stamp
from visionkit.data.mask_reader import MaskReader
from visionkit.progress import Progress

VERSION = f"1, Pillow {PIL.__version__}"
"""Goes up when a look tells something else: what was remembered before then counts for nothing."""
AT_ONCE = 256
SECONDS_BETWEEN_WRITES = 2.0

Facts = TypeVar("Facts", ImageFacts, MaskFacts)


def scan_images(paths: Iterable[Path], memory: Path | None, progress: Progress) -> list[ImageFacts]:
    """What `look` tells of each image, in the order of `paths`, each path once.

    Args:
        paths: the files.
        memory: the SQLite file that remembers what was seen, by path, size and time of modification; None
            remembers nothing. An interrupted scan keeps what it has seen.
        progress: hears how many of the images are done.
    """
    return _scan("image", ImageFacts, lambda path: facts.look(path), paths, memory, progress)


def scan_masks(
    paths: Iterable[Path], memory: Path | None, progress: Progress, reader: MaskReader | None = None
) -> list[MaskFacts]:
    """What `look_at_mask` tells of each mask, as `scan_images` does for images.

    With a `reader`, codes are what it makes of the masks, and are remembered for it alone.
    """
    if reader is None:
        return _scan("mask", MaskFacts, lambda path: facts.look_at_mask(path), paths, memory, progress)
    kind = f"mask {reader.key}"
    return _scan(kind, MaskFacts, lambda path: facts.look_at_mask(path, reader.read), paths, memory, progress)


def _scan(
    kind: str,
    make: type[Facts],
    look: Callable[[Path], Facts],
    paths: Iterable[Path],
    memory: Path | None,
    progress: Progress,
) -> list[Facts]:
    wanted = list(dict.fromkeys(paths))
    stamps = {path: known for path in wanted if (known := stamp(path)) is not None}
    with Memory(memory, VERSION) as remembered:
        seen: dict[Path, Facts] = {}
        for path, text in remembered.recall(kind, stamps).items():
            if (found := _restored(make, path, text)) is not None:
                seen[path] = found
        unseen = [path for path in wanted if path not in seen]
        if unseen:
            keep = partial(_keep, remembered, kind, stamps)
            label = f"looking at {kind.split()[0]}s"
            with progress.track(label, len(unseen), "images") as advance, _quiet():
                _look_at(unseen, look, seen, keep, advance)
    return [seen[path] for path in wanted]


def _look_at(
    paths: list[Path],
    look: Callable[[Path], Facts],
    seen: dict[Path, Facts],
    keep: Callable[[list[Facts]], None],
    advance: Callable[[int], None],
) -> None:
    """Fill `seen`. In threads, as Pillow decodes without the interpreter's lock; processes were no faster."""
    Image.init()  # Pillow loads its decoders at first need, and two threads at once may miss some
    unwritten: list[Facts] = []
    written = time.monotonic()
    with ThreadPoolExecutor(cpu_count()) as pool:
        try:
            for start in range(0, len(paths), AT_ONCE):
                for found in pool.map(look, paths[start : start + AT_ONCE]):
                    seen[found.path] = found
                    unwritten.append(found)
                    advance(1)
                if time.monotonic() - written >= SECONDS_BETWEEN_WRITES:
                    keep(unwritten)
                    unwritten, written = [], time.monotonic()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            keep(unwritten)


def _keep(memory: Memory, kind: str, stamps: dict[Path, Stamp], found: list[Any]) -> None:
    memory.keep(
        kind,
        [
            (each.path, stamps[each.path], _text(each))
            for each in found
            if each.path in stamps and each.fault_kind not in PASSING
        ],
    )


def _text(found: ImageFacts | MaskFacts) -> str:
    return json.dumps({key: value for key, value in asdict(found).items() if key != "path"})


def _restored(make: type[Facts], path: Path, text: str) -> Facts | None:
    """The facts that `text` holds; None where it holds something else, and the file is looked at again."""
    try:
        values = json.loads(text)
        if "pixels" in values:
            values["pixels"] = {int(code): count for code, count in values["pixels"].items()}
        return make(path=path, **values)
    except (ValueError, TypeError, AttributeError):
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings about large, transparent or oddly tagged images: the check says more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
