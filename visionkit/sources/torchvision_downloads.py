"""Torchvision's downloads, done by visionkit: they go on where they stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from visionkit.errors import VisionkitError
from visionkit.sources.archives import ARCHIVE_ENDINGS
from visionkit.sources.base import Store
from visionkit.sources.downloads.answers import filename_of
from visionkit.sources.downloads.downloading import download


class Failed(RuntimeError):
    """A download failed.

    No OSError: torchvision would try again, without encryption. MNIST takes a RuntimeError for a reason to
    go to its next server.
    """

    def __init__(self, reason: VisionkitError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Downloads:
    """The files that torchvision asks for: kept in `folder` until the data set is whole."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.failure: VisionkitError | None = None
        self.given: dict[Path, Path] = {}  # where torchvision wanted a file, and ours

    @contextmanager
    def instead_of_torchvisions(self) -> Iterator[None]:
        """For the duration, torchvision downloads with our `download`, through the one function of its own.

        Raises:
            VisionkitError: torchvision has no such function any more.
        """
        from torchvision.datasets import utils

        if not callable(getattr(utils, "_urlretrieve", None)):
            import torchvision

            raise VisionkitError(
                f"torchvision {torchvision.__version__} downloads in another way than visionkit knows. "
                "Install another version of torchvision, or name a folder that you have with --data."
            )
        replaced: dict[str, Any] = {"_urlretrieve": self._retrieve}
        if hasattr(utils, "_get_redirect_url"):  # one request more, which nothing repeats where it fails
            replaced["_get_redirect_url"] = lambda url, *_, **__: url
        before = {name: getattr(utils, name) for name in replaced}
        try:
            for name, function in replaced.items():
                setattr(utils, name, function)
            yield
        finally:
            for name, function in before.items():
                setattr(utils, name, function)

    def _retrieve(self, url: str, filename: str | Path, *_: Any, **__: Any) -> None:
        """Bring `url` to `filename`; torchvision verifies its checksum."""
        wanted = Path(filename)
        kept = self.folder / f"{sha256(url.encode()).hexdigest()[:8]}-{wanted.name}"
        try:
            if not kept.is_file():
                download(url, kept, progress=self.store.progress, label=filename_of(url))
        except VisionkitError as error:
            self.failure = self.failure or error
            raise Failed(error) from error
        self.failure = None  # another server had it
        wanted.unlink(missing_ok=True)
        try:
            os.link(kept, wanted)
        except OSError:  # a file system without hard links
            shutil.copyfile(kept, wanted)
        self.given[wanted] = kept

    def remove_archives(self) -> None:
        """Remove from torchvision's folder the archives that it unpacked."""
        for wanted in self.given:
            if wanted.name.lower().endswith((*ARCHIVE_ENDINGS, ".gz", ".bz2", ".xz")):
                wanted.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what torchvision was given, so that the next call downloads it again."""
        for kept in self.given.values():
            kept.unlink(missing_ok=True)
