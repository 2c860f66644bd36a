"""Open Images as a source: classes by name become a folder of cut-out boxes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from visionkit.errors import DataError, VisionkitError
from visionkit.sources.base import Store
from visionkit.sources.locks import alone_with
from visionkit.sources.openimages.choose import CORNERS, Rules, choose_boxes, find_photos
from visionkit.sources.openimages.metadata import ADDRESS, Metadata

if TYPE_CHECKING:
    from pandas import DataFrame

    from visionkit.sources.openimages.boxes import Sitting
    from visionkit.sources.openimages.photos import Outcome

CREDITS = "photos.csv"
"""Who took the photos, under which licence: what CC BY asks to be named."""
_CREDITED = ("Author", "AuthorProfileURL", "License", "OriginalLandingURL", "Title", "OriginalURL")


@dataclass(frozen=True)
class OpenImages:
    """Boxes of Open Images' training set, cut out of the photos, with a folder for each class.

    Metadata and photos are kept in `openimages/` of the store and shared by all sets: other options cut
    anew from the photos that are there, and other classes fetch only the photos that are not.

    Args:
        classes: names of classes, in whichever case; two at least.
        per_class: how many boxes of each class at most, before small ones and dead links are left out.
        photos: whole photos as they were uploaded, or Flickr's small ones; photos without a small one, and
            those that lie on their side, are taken whole.
        min_side: pixels that both sides of a box must have.
        margin: share of the box's sides that is added around it.
        occluded: things that something stands before, too.
        truncated: things that reach beyond the photo, too.
        depiction: drawings, toys and statues, too.
        group: boxes around groups, too.
        metadata: address of the metadata, or a folder that has it.
        parallel: photos that are fetched at once, at most four of them from one host.
        pause: seconds at least from one request to a host to the next one.
    """

    classes: tuple[str, ...]
    per_class: int = 500
    photos: Literal["original", "thumbnail"] = "original"
    min_side: int = 48
    margin: float = 0.1
    occluded: bool = True
    truncated: bool = True
    depiction: bool = False
    group: bool = False
    metadata: str = ADDRESS
    parallel: int = 16
    pause: float = 0.1

    @property
    def name(self) -> str:
        return f"openimages:{'+'.join(self._names())}-{self._key()}"

    @property
    def url(self) -> str:
        return "https://storage.googleapis.com/openimages/web/index.html"

    @property
    def licence(self) -> str:
        return f"photos CC BY 2.0 (authors in {CREDITS}), boxes CC BY 4.0"

    def folder(self, root: Path) -> Path:
        readable = re.sub(r"[^a-z0-9]+", "-", "-".join(self._names()))[:60].strip("-")
        return root / "openimages" / "sets" / f"{readable}-{self._key()}"

    def leftovers(self, root: Path) -> list[Path]:
        """None: metadata and photos belong to all sets."""
        return []

    def is_there(self, root: Path) -> bool:
        return self.folder(root).is_dir()

    def fetch(self, store: Store) -> Path:
        """The folder of the set: `CLASS/PHOTO_1.jpg`, and `photos.csv` with authors and licences.

        Raises:
            UsageError: there is no such class.
            DataError: nothing is left of a class, or the metadata is damaged.
            VisionkitError: metadata or too many photos cannot be fetched.
        """
        folder = self.folder(store.root)
        if not folder.is_dir():
            try:
                self._make(folder, store)
            except OSError as error:
                raise VisionkitError(
                    f"{folder}: cannot be made ({error}). Mend that and call again: it goes on where it "
                    "stopped."
                ) from error
        return folder

    def _make(self, folder: Path, store: Store) -> None:
        """Choose, fetch and cut; `folder` is there at the end, or not at all."""
        from visionkit.sources.openimages.photos import JOURNAL, photo_file

        with self._shared(store):
            metadata = Metadata(self.metadata, store)
            classes = metadata.named_classes(self.classes)
            boxes = choose_boxes(metadata, classes, self._rules())
            photos = find_photos(metadata, boxes)
            outcomes = self._photos(photos, store)
        there = {
            photo: photo_file(self._photo_folder(store.root), photo)
            for photo, outcome in outcomes.items()
            if outcome == "fetched"
        }
        _check_photos(classes, boxes, there, self._photo_folder(store.root) / JOURNAL)
        beside = folder.with_name(f".{folder.name}.cutting")
        shutil.rmtree(beside, ignore_errors=True)  # of a call that was killed
        try:
            beside.mkdir(parents=True)
            self._cut(boxes, photos, classes, there, beside, store)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def listing(self, store: Store) -> str:
        """All classes as their hierarchy, with `classes` marked.

        Raises:
            UsageError: there is no such class.
            VisionkitError: the metadata cannot be fetched.
        """
        from visionkit.sources.openimages.hierarchy import class_tree

        with self._shared(store):
            metadata = Metadata(self.metadata, store)
            return class_tree(
                metadata.hierarchy(), metadata.classes(), metadata.named_classes(self.classes).keys()
            )

    def _names(self) -> list[str]:
        return sorted({name.casefold() for name in self.classes})

    def _key(self) -> str:
        """Eight digits for what decides which pictures are in the set."""
        options = [self._names(), self.per_class, self.photos, self.min_side, self.margin, self.metadata]
        flags = [self.occluded, self.truncated, self.depiction, self.group]
        return sha256(json.dumps([options, flags]).encode()).hexdigest()[:8]

    def _rules(self) -> Rules:
        return Rules(self.per_class, self.occluded, self.truncated, self.depiction, self.group)

    def _photo_folder(self, root: Path) -> Path:
        return root / "openimages" / "photos" / self.photos

    def _shared(self, store: Store) -> AbstractContextManager[None]:
        """Keep other processes from what all sets share."""
        folder = store.root / "openimages"
        return alone_with(folder, folder / ".lock", store.progress)

    def _photos(self, photos: DataFrame, store: Store) -> dict[str, Outcome]:
        """Fetch the photos that are not there yet."""
        from visionkit.sources.openimages.photos import Photo, fetch_photos, md5_of

        wanted = []
        columns = photos[["Thumbnail300KURL", "OriginalURL", "OriginalMD5", "Rotation"]]
        for photo, small, whole, checksum, rotation in columns.itertuples(name=None):
            # Flickr's small ones stand upright, and the boxes would not fit them.
            if self.photos == "thumbnail" and small and rotation == 0:
                wanted.append(Photo(photo, small))
            else:
                wanted.append(Photo(photo, whole, md5_of(checksum)))
        return fetch_photos(wanted, self._photo_folder(store.root), store.progress, self.parallel, self.pause)

    def _cut(
        self,
        boxes: DataFrame,
        photos: DataFrame,
        classes: Mapping[str, str],
        there: Mapping[str, Path],
        folder: Path,
        store: Store,
    ) -> None:
        """Cut the boxes out and write the credits."""
        from visionkit.sources.openimages.boxes import Cut, cut_boxes

        names = _folder_names(classes)
        sittings = list(_sittings(boxes, photos, names, there))
        counts = cut_boxes(sittings, folder, Cut(self.min_side, self.margin), store.progress)
        found = {name: len(list((folder / name).glob("*.jpg"))) for name in names.values()}
        per_class = ", ".join(f"{name} {count:,}" for name, count in found.items())
        left_out = "".join(
            f", {counts[kind]:,} {kind}" for kind in ("too small", "unreadable") if counts[kind]
        )
        store.progress.note(f"boxes      {counts['cut']:,} cut ({per_class}){left_out}")
        for name, count in found.items():
            if not count:
                raise DataError(
                    f"{name}: no box is left ({left_out[2:]} of all classes). Lower --min-side, raise "
                    "--per-class, or take another class."
                )
        used = {file.stem.rpartition("_")[0] for name in found for file in (folder / name).iterdir()}
        photos.loc[sorted(used), list(_CREDITED)].to_csv(folder / CREDITS, encoding="utf-8")


def _check_photos(
    classes: Mapping[str, str], boxes: DataFrame, there: Mapping[str, Path], journal: Path
) -> None:
    """Raise where all photos of a class are gone."""
    for label, name in classes.items():
        wanted = boxes.loc[boxes["LabelName"] == label, "ImageID"].unique()
        if not any(photo in there for photo in wanted):
            raise DataError(
                f"{name}: none of the {len(wanted):,} photos of this class is there any more. Raise "
                "--per-class, allow more boxes, or take another class; to ask for all of them again, delete "
                f"{journal}."
            )


def _folder_names(classes: Mapping[str, str]) -> dict[str, str]:
    """Label to folder."""
    from visionkit.sources.class_folders import folder_name

    names: dict[str, str] = {}
    for number, (label, name) in enumerate(classes.items()):
        names[label] = folder_name(name, number, names.values())
    return names


def _sittings(
    boxes: DataFrame, photos: DataFrame, names: Mapping[str, str], there: Mapping[str, Path]
) -> Iterator[Sitting]:
    """The photos that are there, each with its boxes."""
    from visionkit.sources.openimages.boxes import Box, Sitting

    rotations = photos["Rotation"].to_dict()
    for photo, rows in boxes[boxes["ImageID"].isin(list(there))].groupby("ImageID", sort=False):
        cuts = tuple(
            Box(names[label], *corners)
            for label, *corners in rows[["LabelName", *CORNERS]].itertuples(index=False)
        )
        yield Sitting(str(photo), there[str(photo)], int(rotations[photo]), cuts)
