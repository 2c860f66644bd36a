"""Fetching the files of a competition: one by one, all together, or from the mirror."""

from __future__ import annotations

import shutil
import zipfile
from hashlib import sha256
from pathlib import Path

from visionkit.atomic import write_atomically
from visionkit.errors import VisionkitError, listing
from visionkit.sources.base import Store
from visionkit.sources.kaggle.answers import NotServed
from visionkit.sources.kaggle.client import OWN_FOLDER, KaggleClient
from visionkit.sources.kaggle.competition import DOWNLOADS, EVERYTHING, KaggleCompetition
from visionkit.sources.kaggle.dataset import KaggleDataset, unpack_to, unpacked_dataset
from visionkit.sources.kaggle.mirror import record
from visionkit.sources.kaggle.parts import (
    find_part,
    is_archive,
    listed,
    listed_folder,
    take,
    unpacked_name,
)


class CompetitionFetch:
    """One fetch of a competition.

    Args:
        source: says what is wanted.
        client: logged in.
        store: its progress and limits, and where the mirror may be already.
        folder: the competition's, which is there.
    """

    def __init__(self, source: KaggleCompetition, client: KaggleClient, store: Store, folder: Path) -> None:
        self.source, self.client, self.store, self.folder = source, client, store, folder
        self.note = store.progress.note
        self.halves = folder / DOWNLOADS
        self.work = self.halves / "unpacked"

    def run(self, wanted: list[str]) -> None:
        """Bring the `wanted` names, or [EVERYTHING], to the folder.

        Raises:
            VisionkitError: Kaggle refuses, neither the competition nor its mirror has them, or the download
                broke off or is damaged.
        """
        shutil.rmtree(self.work, ignore_errors=True)  # of a fetch that was killed
        if wanted == [EVERYTHING]:
            self._everything()
            return
        names = self._names()
        unserved = [name for name in wanted if not self._own(name, names)]
        if unserved:
            self._mirrored(unserved, names)

    def _names(self) -> list[str]:
        try:
            return self.client.competition_files(self.source.slug)
        except NotServed:
            if self.source.mirror is None:
                raise
            return []

    def _own(self, wanted: str, names: list[str]) -> bool:
        """Fetch `wanted` from the competition; False where that does not serve it."""
        target = self.folder / wanted
        if target.exists():  # came with others
            return True
        remote = listed(wanted, names)
        try:
            if remote is not None:
                self._unpack(self._file(remote), target)
            elif listed_folder(wanted, names):
                part = find_part(self._bundle(), wanted)
                if part is None:
                    return False
                take(part, target, keep=False, beside=self.work / "part")
            else:
                return False
        except NotServed:
            return False
        return True

    def _file(self, remote: str) -> Path:
        self.note(f"fetching   {remote} of {self.source.slug}")
        place = self.halves / sha256(remote.encode()).hexdigest()[:12]
        file = self.client.competition_file(self.source.slug, remote, place)
        if Path(remote).suffix == ".csv" and file.suffix == ".csv" and zipfile.is_zipfile(file):
            file = file.rename(f"{file}.zip")  # packed on the way, which the name does not tell
        return file

    def _unpack(self, file: Path, target: Path) -> None:
        """Bring one downloaded file to `target`: renamed, or unpacked, lifting what is alone in it."""
        if not is_archive(file.name):
            file.rename(target)
            return
        whole = unpack_to(file, self.work / target.name, self.store, lift_file=bool(target.suffix))
        whole.rename(target)
        file.unlink()

    def _bundle(self) -> Path:
        """All files of the competition, unpacked but for archives among them."""
        tree = self.work / "everything"
        if not tree.is_dir():
            self.note(f"fetching   all files of {self.source.slug}")
            archive = self.client.competition(self.source.slug, self.halves / "all")
            unpack_to(archive, tree, self.store, lift=False)
        return tree

    def _everything(self) -> None:
        tree = self._bundle()
        for archive in [path for path in tree.rglob("*") if path.is_file() and is_archive(path.name)]:
            target = archive.with_name(unpacked_name(archive.name))
            if not target.exists():
                unpack_to(archive, target, self.store, lift_file=bool(target.suffix))
                archive.unlink()
        for part in list(tree.iterdir()):
            if not (self.folder / part.name).exists():
                part.rename(self.folder / part.name)
        write_atomically(self.folder / EVERYTHING, "All files that the competition had are here.\n")

    def _mirrored(self, unserved: list[str], names: list[str]) -> None:
        source, mirror = self.source, self.source.mirror
        what = listing(unserved, limit=10)
        if mirror is None:
            has = f"It lists {listing(names, limit=10)}." if names else "It lists no files."
            raise VisionkitError(
                f"the competition {source.slug} does not serve {what}. {has} Look at {source.url}. "
                f"{OWN_FOLDER}"
            )
        dataset = KaggleDataset(mirror.dataset)
        self.note(
            f"mirror     the competition {source.slug} no longer serves {what}; taking the mirror data set "
            f"{mirror.dataset} instead, see {dataset.url}"
        )
        kept = dataset.is_there(self.store.root)
        if kept:
            tree = dataset.folder(self.store.root)
        else:
            tree = unpacked_dataset(
                self.client, dataset, self.halves / "mirror", self.work / "mirror", self.store
            )
        # The rest of an archive of gigabytes is not thrown away: the test sets may be wanted next.
        others = [
            name for name in source.test if not (self.folder / name).exists() and not listed(name, names)
        ]
        parts = {
            name: part
            for name in dict.fromkeys(unserved + others)
            if (part := find_part(tree, mirror.name_of(name))) is not None
        }
        if parts:
            record(self.folder, source.slug, mirror, dataset.url, list(parts))
        for number, (name, part) in enumerate(parts.items()):
            take(part, self.folder / name, kept, self.work / f"part-{number}")
        if lacking := [name for name in unserved if name not in parts]:
            raise VisionkitError(
                f"neither the competition {source.slug} nor its mirror {mirror.dataset} has "
                f"{listing(lacking, limit=10)}. Look at {source.url} and {dataset.url}. {OWN_FOLDER}"
            )
