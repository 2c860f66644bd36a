"""Shards on the local disk, in a folder of bounded size that any number of processes share.

A shard is there as a whole or not at all. What was used least recently goes before the next is fetched, so
the folder never holds more than its limit. Whoever reads a shard that goes meanwhile still has its file open;
whoever comes later fetches it again.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from visionkit.errors import DataError, VisionkitError
from visionkit.progress import quantity
from visionkit.shards.addresses import Shard, file_system, reason, shown
from visionkit.shards.contents import open_local, refuse_changed
from visionkit.shards.forking import not_forked
from visionkit.shards.trying import TRIES, is_missing, seconds_before

SPARED = 1 << 30
"""Bytes of the disk that are left free."""
_PART = re.compile(r"\.([0-9a-f]{32})\.(\d+)\.part")
_WHOLE = re.compile(r"([0-9a-f]{32})\.tar")


@dataclass(frozen=True)
class ShardCache:
    """Fetched shards.

    Args:
        folder: made where it is not there yet.
        limit: bytes that it may hold at any time.
    """

    folder: Path
    limit: int

    def open(self, shard: Shard) -> BinaryIO:
        """The shard's file, fetched where it is not there; whoever calls closes it.

        A local one is read in place.

        Raises:
            ChangedShard: it is not what it was when it was indexed.
            DataError: it is not there.
            VisionkitError: it cannot be fetched, or there is no room for it.
        """
        if shard.is_local:
            return open_local(shard)
        place = self.place(shard)
        if (found := _whole(place, shard.size)) is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with not_forked(), FileLock(self.folder / f".{shard.key}.lock"):
                return _whole(place, shard.size) or self._fetched(shard, place)
        except OSError as error:
            raise VisionkitError(
                f"{self.folder}: shards cannot be kept there ({error.strerror or error}). Free some space, "
                "or name another folder as `data` in the [paths] section of settings.ini."
            ) from error

    def fetch(self, shard: Shard) -> None:
        """Have the shard here, for whoever opens it soon; raises as `open`."""
        if not shard.is_local and not _is_whole(self.place(shard), shard.size):
            self.open(shard).close()

    def place(self, shard: Shard) -> Path:
        """Where the shard is, or will be."""
        return self.folder / f"{shard.key}.tar"

    def held(self) -> int:
        """Bytes that the folder holds, or has promised to fetches that are under way."""
        return sum(entry.reserved for entry in self._entries())

    def passed_since(self, shard: Shard, moment: float) -> bool:
        """Whether the shard was read since `moment`, or has gone; fetching alone is no reading."""
        try:
            return self.place(shard).stat().st_atime >= moment
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _fetched(self, shard: Shard, place: Path) -> BinaryIO:
        part = self.folder / f".{shard.key}.{shard.size}.part"
        part.unlink(missing_ok=True)  # of a process that was killed: the lock is ours now
        self._reserve(shard, part)
        fault = ""
        try:
            for attempt in range(TRIES):
                time.sleep(seconds_before(attempt) if attempt else 0)
                fault = _fetch(shard, part)
                if not fault:
                    break
            else:
                raise VisionkitError(
                    f"{shown(shard.address)}: cannot be fetched ({fault}). Check the network and the store's "
                    "credentials, and try again."
                )
            refuse_changed(shard, part)
            file = part.open("rb")
            try:
                os.fsync(file.fileno())
                os.utime(part, (0, time.time()))  # fetched, and not read yet
                with FileLock(self.folder / ".room.lock"):  # who counts must not miss it between two names
                    part.replace(place)
            except BaseException:
                file.close()
                raise
            return file
        finally:
            part.unlink(missing_ok=True)

    def _reserve(self, shard: Shard, part: Path) -> None:
        """Make room for the shard, and hold it by an empty file whose name has the size."""
        while True:
            with FileLock(self.folder / ".room.lock"):
                if self._has_room(shard):
                    part.write_bytes(b"")
                    return
            time.sleep(0.1)  # all that is left are fetches under way, which end

    def _has_room(self, shard: Shard) -> bool:
        entries = self._entries()
        promised = sum(entry.reserved - entry.written for entry in entries)
        free = shutil.disk_usage(self.folder).free - SPARED - promised
        held = sum(entry.reserved for entry in entries)
        over = held + shard.size - self.limit, shard.size - free
        if shard.size > self.limit or shard.size - free > held:
            least = quantity(shard.size, "bytes")
            raise VisionkitError(
                f"{shown(shard.address)}: no room for it. It has {least}, shards may take "
                f"{quantity(self.limit, 'bytes')} (shards_gb of [cache] in settings.ini), and the disk of "
                f"{self.folder} has {quantity(max(free, 0), 'bytes')} to spare."
            )
        needed = max(over)
        for entry in sorted(entries, key=lambda entry: entry.used):
            if needed <= 0:
                break
            if entry.remove():
                needed -= entry.reserved
        return needed <= 0

    def _entries(self) -> list[_Entry]:
        found = []
        with suppress(FileNotFoundError), os.scandir(self.folder) as files:
            for file in files:
                part, whole = _PART.fullmatch(file.name), _WHOLE.fullmatch(file.name)
                if part or whole:
                    with suppress(OSError):  # gone meanwhile
                        status = file.stat()
                        reserved = max(int(part[2]), status.st_size) if part else status.st_size
                        used = max(status.st_atime, status.st_mtime)
                        found.append(
                            _Entry(Path(file.path), reserved, status.st_size, used, part and part[1])
                        )
        return found


@dataclass(frozen=True)
class _Entry:
    """A shard, or a fetch that is under way or was when its process ended."""

    path: Path
    reserved: int
    written: int
    used: float
    fetching: str | None

    def remove(self) -> bool:
        """Delete it, unless it is being fetched."""
        if self.fetching is None:
            self.path.unlink(missing_ok=True)
            return True
        lock = FileLock(self.path.with_name(f".{self.fetching}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        try:
            self.path.unlink(missing_ok=True)
            return True
        finally:
            lock.release()


def _whole(place: Path, size: int) -> BinaryIO | None:
    """The file at `place`, marked as read; None where there is none of this size."""
    try:
        file = place.open("rb")
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if status.st_size != size:
        file.close()
        place.unlink(missing_ok=True)
        return None
    with suppress(OSError):  # of somebody else, or gone meanwhile
        os.utime(file.fileno(), (time.time(), status.st_mtime))
    return file


def _is_whole(place: Path, size: int) -> bool:
    with suppress(OSError):
        return place.stat().st_size == size
    return False


def _fetch(shard: Shard, part: Path) -> str:
    """Fetch into `part`; what is wrong, for people, and perhaps not the next time; "" where all is well."""
    from fsspec import Callback

    class Counted(Callback):
        """Ends a fetch that brings more than there should be."""

        have = 0

        def relative_update(self, inc: int = 1) -> None:
            self.have += inc
            if self.have > shard.size:
                raise DataError(f"{shown(shard.address)}: it is longer than the server said. Start anew.")

    try:
        system, path = file_system(shard.address)
        system.get_file(path, str(part), callback=Counted())
    except VisionkitError:
        raise
    except FileNotFoundError as error:
        if is_missing(error):
            raise DataError(f"{shown(shard.address)}: there is no such file.") from error
        return reason(error)
    except OSError as error:
        if error.filename == str(part):  # the disk's fault, and no use to try again
            raise
        return reason(error)
    except Exception as error:  # libraries of stores raise nearly anything
        return reason(error)
    have = part.stat().st_size
    return "" if have == shard.size else f"{have:,} of {shard.size:,} bytes came"
