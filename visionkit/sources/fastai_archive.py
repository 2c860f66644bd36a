"""The archives that fast.ai hosts for its courses, under fastai's own names and in fastai's own cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.sources.archives.kinds import ARCHIVE_ENDINGS
from visionkit.sources.base import Store


@dataclass(frozen=True)
class FastaiArchive:
    """One of fastai's `URLs`, such as PETS.

    The archive is kept where `untar_data` keeps it (`~/.fastai`, or `$FASTAI_HOME`) and checked against
    fastai's own list, so that each uses what the other fetched. It is unpacked by visionkit, because
    `untar_data` lets members of a hostile archive out of the folder.

    Args:
        key: fastai's name of it.
        licence: the terms of the data; empty where they are not known.
    """

    key: str
    licence: str = ""

    @property
    def name(self) -> str:
        return f"fastai:{self.key}"

    @property
    def url(self) -> str:
        """Where the archive is.

        Raises:
            UsageError: fastai has no archive of this name.
        """
        from fastai.data.external import URLs

        archives = {
            name: url
            for name, url in vars(URLs).items()
            if isinstance(url, str) and url.endswith(ARCHIVE_ENDINGS)
        }
        if self.key not in archives:
            hint = nearest(self.key.upper(), list(archives))
            raise UsageError(f"fastai has no data set {self.key!r}.{hint}")
        return archives[self.key]

    def folder(self, root: Path) -> Path:
        """The folder in fastai's cache; `root` is not used.

        Raises:
            UsageError: fastai has no archive of this name.
            VisionkitError: fastai's settings cannot be read.
        """
        downloads = _downloads()
        return downloads.data_path("data", self._archive(downloads))

    def leftovers(self, root: Path) -> list[Path]:
        return [self._archive(_downloads())]

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        """The unpacked folder in fastai's cache.

        Raises:
            UsageError: fastai has no archive of this name.
            VisionkitError: it cannot be fetched or unpacked; the message says what to do.
        """
        from visionkit.sources.archives import unpack

        downloads = _downloads()
        archive = self._archive(downloads)
        folder: Path = downloads.data_path("data", archive)
        if folder.is_dir():
            return folder
        if not archive.is_file() or not downloads.check(self.url, archive):
            self._download(archive, downloads, store)
        store.progress.note(f"unpacking  {archive}")
        return unpack(archive, folder, progress=store.progress, limits=store.limits, lift=Path.is_dir)

    def _archive(self, downloads: Any) -> Path:
        return downloads.arch_path() / Path(urlsplit(self.url).path).name

    def _download(self, archive: Path, downloads: Any, store: Store) -> None:
        """Fetch the archive, and compare its size and its first megabyte with fastai's list."""
        from fastdownload.core import path_stats, read_checks

        from visionkit.sources.downloads.downloading import download

        expected = read_checks(downloads.module).get(self.url)
        store.progress.note(f"fetching   {self.url}")
        download(self.url, archive, progress=store.progress, size=expected[0] if expected else None)
        found = path_stats(archive)
        if expected and found != expected:
            archive.unlink()
            raise VisionkitError(
                f"{self.url}: what the server sends is not the archive that fastai knows: the MD5 sum of its "
                f"first megabyte is {found[1]}, expected {expected[1]}. It was damaged on the way or "
                "replaced by another version. Call again, or name a folder that you have with --data."
            )


def _downloads() -> Any:
    """The downloader of fastai, which knows its folders and its list of checksums."""
    import fastai.data
    from fastai.data.external import fastai_cfg
    from fastdownload import FastDownload

    try:
        return FastDownload(fastai_cfg(), module=fastai.data)
    except OSError as error:  # it writes its settings on first use
        raise VisionkitError(
            f"fastai's settings cannot be read or written ({error}). Name another folder in $FASTAI_HOME."
        ) from error
