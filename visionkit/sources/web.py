"""An archive at any address of the web."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from visionkit.errors import UsageError
from visionkit.sources.archives import ARCHIVE_ENDINGS, archive_kind, unpack
from visionkit.sources.base import Store
from visionkit.sources.downloads.answers import filename_of, public_url
from visionkit.sources.downloads.downloading import is_web_address, transfer

_CHECKSUM = re.compile(r"(sha256)=([0-9a-fA-F]{64})|(md5)=([0-9a-fA-F]{32})")


@dataclass(frozen=True)
class WebArchive:
    """A zip, tar (gz, bz2, xz), 7z or tar.7z archive behind an http or https address.

    Args:
        address: may end in `#sha256=HEX` or `#md5=HEX`, which the archive must have. A user's name and
            password in it are used for the download, and kept and shown nowhere.

    Raises:
        UsageError: the address is malformed.
    """

    address: str = field(repr=False)

    def __post_init__(self) -> None:
        if not is_web_address(self.address):
            raise UsageError(f"{self.name}: not an address that begins with http:// or https://.")
        fragment = urlsplit(self.address).fragment
        if fragment and not _CHECKSUM.fullmatch(fragment):
            raise UsageError(
                f"{self.name}: what stands behind # must be sha256= and 64 hex digits, or md5= and 32."
            )

    @property
    def name(self) -> str:
        return public_url(self.address)

    @property
    def url(self) -> str:
        return urldefrag(self.name).url

    @property
    def licence(self) -> str:
        return ""

    def folder(self, root: Path) -> Path:
        """Named after the host and the file, and by a hash, because different addresses may read the same."""
        file = filename_of(self.url)
        stem = file[: len(file) - len(_ending(file))]
        host = urlsplit(self.url).hostname
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", f"{host}-{stem}")[:80].strip("-.")
        return root / "web" / f"{readable}-{sha256(self.name.encode()).hexdigest()[:8]}"

    def leftovers(self, root: Path) -> list[Path]:
        return [root / "web" / ".downloads" / self.folder(root).name]

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        """The unpacked archive; where it holds only one folder, that folder. The archive is not kept.

        Raises:
            UsageError: what is there is no archive of a kind that can be unpacked.
            VisionkitError: it cannot be fetched or unpacked; the message says what to do.
        """
        folder = self.folder(store.root)
        if folder.is_dir():
            return folder
        (downloads,) = self.leftovers(store.root)
        archive = next(downloads.glob("archive*"), None)  # of a call that ended before it was unpacked
        if archive is None:
            archive = self._download(downloads / "arriving", store)
        store.progress.note(f"unpacking  {archive}")
        unpack(archive, folder, progress=store.progress, limits=store.limits, lift=Path.is_dir)
        shutil.rmtree(downloads, ignore_errors=True)
        return folder

    def _download(self, target: Path, store: Store) -> Path:
        """The archive, under a name that tells its kind."""
        address, fragment = urldefrag(self.address)
        if urlsplit(address).scheme == "http" and not fragment:
            store.progress.note(f"fetching   {self.url} (not encrypted: it could be changed on the way)")
        else:
            store.progress.note(f"fetching   {self.url}")
        file, filename = transfer(
            address,
            target,
            progress=store.progress,
            checksum=fragment.replace("=", ":") or None,
            label=filename_of(address),
        )
        ending = _ending(filename_of(address)) or _ending(filename)
        if not ending and archive_kind(file) is None:
            file.unlink()
            raise UsageError(
                f"{self.url}: not an archive that can be unpacked. There are: {', '.join(ARCHIVE_ENDINGS)}."
            )
        return file.rename(file.with_name(f"archive{ending}"))


def _ending(name: str) -> str:
    """The ending of an archive's name, such as ".tar.gz"; empty where it has none that is known."""
    return next((ending for ending in ARCHIVE_ENDINGS if name.lower().endswith(ending)), "")
