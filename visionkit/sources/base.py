"""What every source can do, and the store that it fetches into."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from visionkit.progress import PlainProgress, Progress

DEFAULT_STORE = Path("~/.visionkit")


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to before it is taken for a bomb.

    Args:
        size: bytes of all members together.
        ratio: bytes of all members together for each byte of the archive.
    """

    size: int = 200 * 10**9
    ratio: float = 200.0


@dataclass(frozen=True)
class Store:
    """The folder that data sets are fetched into, how far unpacking may go, and who is told.

    Args:
        root: made where it is not there yet.
        progress: hears of downloads and unpacking.
        limits: for archives.
        cache: the folder of decoded images; `cache` in `root` where None.
        cache_bytes: that decoded images may take.
        shard_bytes: that fetched shards may take.
    """

    root: Path = field(default_factory=lambda: DEFAULT_STORE.expanduser())
    progress: Progress = field(default_factory=PlainProgress)
    limits: Limits = field(default_factory=Limits)
    cache: Path | None = None
    cache_bytes: int = 100 * 10**9
    shard_bytes: int = 50 * 10**9

    @property
    def cache_folder(self) -> Path:
        """Where decoded images are kept."""
        return self.root / "cache" if self.cache is None else self.cache

    @property
    def memory(self) -> Path:
        """The file that remembers which images and masks were looked at, and what was seen."""
        return self.root / "looked-at.sqlite"


class Source(Protocol):
    """A place that a data set can be fetched from."""

    @property
    def name(self) -> str:
        """What `--data` and `visionkit data` call it, such as "fastai:PETS"."""

    @property
    def url(self) -> str:
        """The page that tells people about the data set, or the file itself."""

    @property
    def licence(self) -> str:
        """Under which terms the data may be used; empty where visionkit does not know."""

    def folder(self, root: Path) -> Path:
        """Where the data set is, or will be, with `root` as the store's folder. Nothing is looked at."""

    def leftovers(self, root: Path) -> list[Path]:
        """What a fetch keeps outside of the folder: the archive, or downloads to go on with."""

    def is_there(self, root: Path) -> bool:
        """Whether the data set is on the disk as a whole."""

    def fetch(self, store: Store) -> Path:
        """The data set's folder, fetched where it is not there yet. Call `fetched`, which locks it.

        Raises:
            VisionkitError: it cannot be fetched; the message says what to do.
        """
