"""Images out of tar files, one of which is open while the next is fetched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from visionkit.data.images import IMAGE_ENDINGS
from visionkit.errors import DataError, VisionkitError
from visionkit.shards.addresses import Shard, shown
from visionkit.shards.cache import ShardCache
from visionkit.shards.source import shard_cache
from visionkit.shards.tars import members
from visionkit.sources.base import Store

_LISTED = 4
"""Tar files of which memory holds what is in them."""
_ROOM = 4
"""The next tar file is fetched ahead where the cache has room for so many: others may be read beside it."""


class TarReader:
    """Reads images out of tar files, and keeps what it has fetched of them where a store says.

    The one that was read last stays open: images that come in its order need it once, even where it has to
    leave the cache meanwhile.

    Args:
        store: called when the first one is needed.
    """

    def __init__(self, store: Callable[[], Store] = Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: tuple[Shard, BinaryIO] | None = None
        self._next: _Fetch | None = None
        self._places: dict[Shard, dict[str, tuple[int, int]]] = {}

    @cached_property
    def cache(self) -> ShardCache:
        """Where fetched tar files are kept."""
        return shard_cache(self._store())

    def listed(self, tar: Shard) -> list[str]:
        """The names of the images in a tar file, in its order.

        Raises:
            VisionkitError: it cannot be fetched, or is no whole tar file.
        """
        with self._lock:
            return list(self._listed(tar))

    def read(self, tar: Shard, name: str, most: int) -> bytes:
        """At most so many bytes of an image, and one more where it has more.

        Raises:
            VisionkitError: the tar file cannot be fetched or read, or has no such image.
        """
        with self._lock:
            places = self._listed(tar)
            if name not in places:
                raise DataError("there is no such image in the shard")
            offset, length = places[name]
            file = self._file(tar)
            file.seek(offset)
            return file.read(min(length, most + 1))

    def fetch_ahead(self, tar: Shard) -> None:
        """Fetch a tar file in a thread, and hold it, unless the cache is too small for that."""
        if not tar.is_local and self.cache.limit >= _ROOM * tar.size:
            with self._lock:
                self._next = _Fetch(self.cache, tar)
                self._next.start()

    def _listed(self, tar: Shard) -> dict[str, tuple[int, int]]:
        """Where each image lies."""
        if tar not in self._places:
            found = {
                member.name: (member.offset, member.length)
                for member in members(self._file(tar), shown(tar.address))
                if Path(member.name).suffix.lower() in IMAGE_ENDINGS
            }
            if len(self._places) >= _LISTED:
                del self._places[next(iter(self._places))]
            self._places[tar] = found
        return self._places[tar]

    def _file(self, tar: Shard) -> BinaryIO:
        if self._open is None or self._open[0] != tar:
            self._close()
            ahead, self._next = self._next, None
            fetched = ahead.result() if ahead is not None and ahead.tar == tar else None
            self._open = tar, fetched or self.cache.open(tar)
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        self._close()


class _Fetch(threading.Thread):
    """Opens a tar file of the cache; whoever needs it hears what is wrong when it opens it itself."""

    def __init__(self, cache: ShardCache, tar: Shard) -> None:
        super().__init__(daemon=True)
        self.tar = tar
        self._cache = cache
        self._file: BinaryIO | None = None

    def run(self) -> None:
        with suppress(VisionkitError, OSError):
            self._file = self._cache.open(self.tar)

    def result(self) -> BinaryIO | None:
        self.join()
        return self._file
