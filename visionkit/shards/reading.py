"""Images in shards that the rest of visionkit takes for files."""

from __future__ import annotations

import io
import stat
from collections.abc import Sequence
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from visionkit.errors import DataError
from visionkit.shards.addresses import Shard, shown
from visionkit.shards.cache import ShardCache
from visionkit.shards.contents import ChangedShard
from visionkit.shards.index import Part, forget, read_list, read_part


class Status(NamedTuple):
    """What `os.stat` would say of an image, were it a file."""

    st_mode: int
    st_size: int
    st_mtime_ns: int

    @property
    def st_mtime(self) -> float:
        """In seconds."""
        return self.st_mtime_ns / 1e9


class ShardSet:
    """The images of a set of shards. Cheap to pickle: other processes open the index by themselves.

    Args:
        folder: of the index.
        base: what the paths of images begin with.

    Raises:
        FileNotFoundError: there is no index.
        DataError: it is damaged.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        about, self.rows = _opened(folder)
        self.name: str = about["rows"]
        self.shards: list[Shard] = about["shards"]
        self.tags: bool = about["tags"]
        self.cache = ShardCache(Path(about["cache"]), int(about["limit"]))

    def __len__(self) -> int:
        return len(self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_again, (self.folder, self.base, self.name)

    def part(self, shard: int) -> Part:
        """Names and labels of the images in the shard with this number."""
        return read_part(self.folder, self.shards[shard])

    def read(self, row: int) -> bytes:
        """The bytes of an image.

        Raises:
            DataError: the shard has changed; the index is removed, so that starting anew makes it.
            VisionkitError: it cannot be fetched.
        """
        shard, offset, length = self.rows[row].tolist()
        try:
            with self.cache.open(self.shards[shard]) as file:
                file.seek(offset)
                content = file.read(length)
        except ChangedShard:
            forget(self.folder, self.shards[shard])
            raise
        if len(content) != length:
            raise DataError(f"{shown(self.shards[shard].address)}: the shard is cut off. Start anew.")
        return content

    def status(self, row: int) -> Status:
        """What stands for the image's file."""
        shard, offset, length = self.rows[row].tolist()
        mark = f"{self.shards[shard].digest or self.shards[shard].key}\0{offset}"
        changed = int.from_bytes(blake2b(mark.encode(), digest_size=7).digest(), "big")
        return Status(stat.S_IFREG | 0o444, length, changed)

    @cached_property
    def images(self) -> tuple[list[ShardImage], list[list[str]]]:
        """All images in the order of the shards, and the labels of each."""
        paths: list[ShardImage] = []
        labels: list[list[str]] = []
        for number, shard in enumerate(self.shards):
            part = self.part(number)
            start = len(paths)
            folder = self.base / shard.name
            paths += (
                ShardImage.of(self, start + place, folder / name) for place, name in enumerate(part.names)
            )
            labels += part.labels
        return paths, labels


@lru_cache(maxsize=8)
def opened_set(folder: Path, base: Path) -> ShardSet:
    """The set of shards whose index is in `folder`; the same object for all who ask in this process."""
    return ShardSet(folder, base)


def _opened(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What the index says, and where its images lie."""
    while True:
        about = read_list(folder)
        try:
            return about, np.load(folder / about["rows"], mmap_mode="r")
        except FileNotFoundError as error:
            if read_list(folder)["rows"] == about["rows"]:  # else it was made anew meanwhile
                raise DataError(
                    f"{folder}: {about['rows']} is missing. Remove the folder, and start anew."
                ) from error
        except ValueError as error:
            raise DataError(
                f"{folder / about['rows']}: damaged ({error}). Remove the folder, and start anew."
            ) from error


def _opened_again(folder: Path, base: Path, name: str) -> ShardSet:
    """As `opened_set`, by another process, which must not take other images for those that it was given."""
    found = opened_set(folder, base)
    if found.name != name:
        raise DataError(f"{folder}: it was indexed anew while it was read. Start anew.")
    return found


class ShardImage(type(Path())):  # type: ignore[misc]
    """The path of an image in a shard: FOLDER/SHARD/NAME, where no file is.

    Whatever asks it for its size, its time or its content gets those of the image.
    """

    __slots__ = ("found", "row")

    found: ShardSet
    row: int

    @classmethod
    def of(cls, found: ShardSet, row: int, path: Path) -> ShardImage:
        """The image in `row` of `found`."""
        made = cls(path)
        made.found, made.row = found, row
        return made

    def __reduce__(self) -> Any:
        if not hasattr(self, "found"):
            return super().__reduce__()
        return ShardImage.of, (self.found, self.row, Path(str(self)))

    def content(self) -> bytes:
        """The image's bytes."""
        return self.found.read(self.row)

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        if not hasattr(self, "found"):  # a folder above it
            return super().stat(follow_symlinks=follow_symlinks)
        return self.found.status(self.row)

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return hasattr(self, "found") or Path(str(self)).exists()

    def is_file(self, **_: Any) -> bool:
        return hasattr(self, "found") or Path(str(self)).is_file()

    def read_bytes(self) -> bytes:
        return self.content() if hasattr(self, "found") else super().read_bytes()

    def open(self, mode: str = "r", *args: Any, **options: Any) -> Any:
        if not hasattr(self, "found"):
            return super().open(mode, *args, **options)
        if mode not in ("rb", "br"):
            raise io.UnsupportedOperation(f"an image in a shard is opened with 'rb', not {mode!r}")
        file: BinaryIO = io.BytesIO(self.content())
        return file


def digests_of(images: Sequence[Path]) -> dict[str, str]:
    """The digests of the shards that these images are in, by the shards' names."""
    inside = [image for image in images if isinstance(image, ShardImage)]
    if not inside:
        return {}
    found = inside[0].found
    numbers = np.unique(found.rows["shard"][[image.row for image in inside]]).tolist()
    return {found.shards[number].name: found.shards[number].digest for number in numbers}
