"""A whole data set of Kaggle's, and how what Kaggle sends is unpacked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.errors import UsageError, VisionkitError
from visionkit.sources.base import Store

if TYPE_CHECKING:
    from visionkit.sources.kaggle.client import KaggleClient

SITE = "https://www.kaggle.com"
SLUG = r"[A-Za-z0-9][A-Za-z0-9_-]*"


@dataclass(frozen=True)
class KaggleDataset:
    """A whole data set, unpacked.

    Args:
        slug: OWNER/NAME, as in its address.

    Raises:
        UsageError: `slug` is no name of a data set.
    """

    slug: str

    def __post_init__(self) -> None:
        if not re.fullmatch(f"{SLUG}/{SLUG}", self.slug):
            raise UsageError(
                f"{self.slug!r} is no name of a Kaggle data set: give owner and name as in its address, such "
                "as kaggle:datasets/nikitarom/planets-dataset."
            )

    @property
    def name(self) -> str:
        """As in `--data kaggle:datasets/OWNER/NAME`."""
        return f"kaggle:datasets/{self.slug}"

    @property
    def url(self) -> str:
        """The data set's page."""
        return f"{SITE}/datasets/{self.slug}"

    @property
    def licence(self) -> str:
        """Empty: only Kaggle knows, and `fetch` says it."""
        return ""

    def folder(self, root: Path) -> Path:
        """The folder `kaggle/datasets/OWNER/NAME` of the store."""
        return root / "kaggle" / "datasets" / self.slug

    def leftovers(self, root: Path) -> list[Path]:
        """The folder of half a download."""
        folder = self.folder(root)
        return [folder.with_name(f".{folder.name}.downloads")]

    def is_there(self, root: Path) -> bool:
        """Whether the data set was unpacked."""
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        """The folder, fetched and unpacked where it is not there yet.

        Raises:
            VisionkitError: no credentials, no such data set, no connection, a damaged archive.
        """
        from visionkit.sources.kaggle.client import connect

        folder = self.folder(store.root)
        if folder.is_dir():
            return folder
        client = connect(self.url, store.progress)
        with disk_faults(folder):
            (halves,) = self.leftovers(store.root)
            work = halves / "unpacked"
            shutil.rmtree(work, ignore_errors=True)  # of a fetch that was killed
            unpacked_dataset(client, self, halves / "archive", work / folder.name, store).rename(folder)
            shutil.rmtree(halves, ignore_errors=True)
        return folder


def unpacked_dataset(
    client: KaggleClient, dataset: KaggleDataset, halves: Path, target: Path, store: Store
) -> Path:
    """Fetch a data set to `target`, with its download in `halves`."""
    store.progress.note(f"fetching   {dataset.name}")
    archive = client.dataset(dataset.slug, halves)
    if licence := client.dataset_licence(dataset.slug):
        store.progress.note(f"licence    {licence}, says {dataset.url}")
    return unpack_to(archive, target, store, lift=False)


def unpack_to(file: Path, target: Path, store: Store, lift: bool = True, lift_file: bool = False) -> Path:
    """Unpack a download to `target`.

    Args:
        file: the archive.
        target: must not exist.
        store: its limits and progress.
        lift: whether a folder that is alone at the top becomes `target`.
        lift_file: whether a file does too.
    """
    from visionkit.sources.archives import unpack

    store.progress.note(f"unpacking  {file.name}")
    return unpack(
        file,
        target,
        progress=store.progress,
        limits=store.limits,
        lift=lambda alone: lift and (lift_file or alone.is_dir()),
    )


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Raise VisionkitError where the disk fails."""
    try:
        yield
    except OSError as error:
        raise VisionkitError(f"{folder}: cannot be written ({error}).") from error
