"""Data of Kaggle's competitions and data sets, through Kaggle's own client."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from visionkit.errors import UsageError
from visionkit.sources.base import Store
from visionkit.sources.kaggle.dataset import SITE, SLUG, KaggleDataset, disk_faults
from visionkit.sources.kaggle.mirror import KaggleMirror

DOWNLOADS = ".downloads"
"""Where, in a competition's folder, half files wait to be gone on with."""

EVERYTHING = ".everything"
"""Stands in a competition's folder once all its files are there."""


@dataclass(frozen=True)
class KaggleCompetition:
    """Files of one competition, unpacked.

    A wanted file is whatever the competition lists under its name, packed or not: "train-jpg" may be
    train-jpg.tar.7z, train-jpg.zip or a folder of loose images.

    Args:
        slug: the competition's name in its address.
        files: the names that the files have once they are unpacked; without any, all
            that the competition has.
        test: those of the test sets, which `with_test` adds.
        mirror: the data set that has what the competition no longer serves.
        licence: the terms of the data.

    Raises:
        UsageError: `slug` is no name of a competition.
    """

    slug: str
    files: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    mirror: KaggleMirror | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(SLUG, self.slug):
            raise UsageError(
                f"{self.slug!r} is no name of a Kaggle competition: give the last part of its address, as in "
                "kaggle:competitions/planet-understanding-the-amazon-from-space."
            )

    @property
    def name(self) -> str:
        """As in `--data kaggle:competitions/NAME`."""
        return f"kaggle:competitions/{self.slug}"

    @property
    def url(self) -> str:
        """The competition's page with its data."""
        return f"{SITE}/competitions/{self.slug}/data"

    def with_test(self) -> KaggleCompetition:
        """This source, with its test sets.

        Raises:
            UsageError: it names none.
        """
        if not self.test:
            raise UsageError(f"{self.name} has no test sets that can be fetched.")
        wanted = self.files + self.test if self.files else ()
        return replace(self, files=tuple(dict.fromkeys(wanted)))

    def folder(self, root: Path) -> Path:
        """The folder `kaggle/SLUG` of the store."""
        return root / "kaggle" / self.slug

    def leftovers(self, root: Path) -> list[Path]:
        """None: they lie in the folder."""
        return []

    def is_there(self, root: Path) -> bool:
        """Whether every wanted file is there."""
        return not self._missing(self.folder(root))

    def fetch(self, store: Store) -> Path:
        """The folder, with what was missing fetched and unpacked; what is there is not fetched again.

        Raises:
            VisionkitError: no credentials, rules not accepted, files that neither the competition nor the
                mirror has, no connection, a damaged archive.
        """
        from visionkit.sources.kaggle.client import connect
        from visionkit.sources.kaggle.fetch import CompetitionFetch

        folder = self.folder(store.root)
        if not self._missing(folder):
            return folder
        client = connect(self.url, store.progress)
        with disk_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
            CompetitionFetch(self, client, store, folder).run(self._missing(folder))
            shutil.rmtree(folder / DOWNLOADS, ignore_errors=True)
        return folder

    def _missing(self, folder: Path) -> list[str]:
        return [name for name in self.files or (EVERYTHING,) if not (folder / name).exists()]


def kaggle_page(url: str) -> KaggleCompetition | KaggleDataset | None:
    """The source that a page of kaggle.com shows, such as https://www.kaggle.com/datasets/OWNER/NAME; None
    for every other address.
    """
    address = urlsplit(url)
    if (address.hostname or "") not in ("kaggle.com", "www.kaggle.com"):
        return None
    kind, *rest = [part for part in address.path.split("/") if part] or [""]
    if kind in ("c", "competitions") and rest and re.fullmatch(SLUG, rest[0]):
        return KaggleCompetition(rest[0])
    if kind == "datasets" and re.fullmatch(f"{SLUG}/{SLUG}", "/".join(rest[:2])):
        return KaggleDataset("/".join(rest[:2]))
    return None
