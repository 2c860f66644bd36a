"""The archives that fast.ai hosts for its courses, under fastai's own names and in fastai's own cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from visionkit.errors import UsageError, VisionkitError, nearest


@dataclass(frozen=True)
class FastaiArchive:
    """One of fastai's `URLs`, such as PETS.

    The archive is fetched and checked by fastai and kept where `untar_data` keeps it (`~/.fastai`, or
    `$FASTAI_HOME`), so that what fastai fetched before is used. It is unpacked by visionkit, because
    `untar_data` lets members of a hostile archive out of the folder.
    """

    name: str

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
            if isinstance(url, str) and url.endswith((".tgz", ".zip", ".tar.gz"))
        }
        if self.name not in archives:
            raise UsageError(f"fastai has no data set {self.name!r}.{nearest(self.name, list(archives))}")
        return archives[self.name]

    def fetch(self, store: Path, note: Callable[[str], None]) -> Path:
        """The unpacked folder in fastai's cache; `store` is not used.

        Raises:
            VisionkitError: there is no connection, or what arrived is damaged.
        """
        import fastai.data
        from fastai.data.external import fastai_cfg
        from fastcore.net import urldest
        from fastdownload import FastDownload

        from visionkit.sources.archives import unpack

        downloads = FastDownload(fastai_cfg(), module=fastai.data)
        downloads.arch_path().mkdir(
            parents=True, exist_ok=True
        )  # urldest adds the name only to a folder that is there
        folder: Path = downloads.data_path("data", urldest(self.url, downloads.arch_path()))
        if folder.is_dir():
            return folder
        note(f"fetching   {self.url}")
        try:
            archive = downloads.download(self.url)
        except Exception as error:  # a wrong checksum is a bare Exception, the rest are OSErrors
            reason = (str(error) or type(error).__name__).splitlines()[0]  # below it is the host's web page
            raise VisionkitError(
                f"{self.url}: cannot be fetched ({reason}). Check the connection and call again, or name a "
                "folder that you have with --data."
            ) from error
        note(f"unpacking  {archive}")
        return unpack(archive, folder, lift=Path.is_dir)
