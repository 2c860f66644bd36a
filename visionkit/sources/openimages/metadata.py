"""The metadata of Open Images: which classes there are, where their boxes lie, who took the photos."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import DataError, UsageError, nearest
from visionkit.sources.base import Store

if TYPE_CHECKING:
    from pandas import DataFrame

ADDRESS = "https://storage.googleapis.com/openimages/2018_04"
CLASSES = "class-descriptions-boxable.csv"
HIERARCHY = "bbox_labels_600_hierarchy.json"
BOXES = "train/train-annotations-bbox.csv"
PHOTOS = "train/train-images-boxable-with-rotation.csv"
ROWS_AT_A_TIME = 500_000


@dataclass(frozen=True)
class Metadata:
    """The files of one release.

    Args:
        place: the address that they lie under, or a folder that has them, with or without its `train/`.
        store: what is fetched is kept in `openimages/metadata` there; its progress is told.
    """

    place: str
    store: Store

    def file(self, name: str) -> Path:
        """The file called `name`, fetched where it is not there yet. There must be one fetch at a time.

        Raises:
            UsageError: there is no such folder.
            DataError: the folder does not have it.
            VisionkitError: it cannot be fetched.
        """
        from visionkit.sources.downloads.downloading import download, is_web_address

        if not is_web_address(self.place):
            return self._in_folder(name)
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", self.place.partition("://")[2])[-60:].strip("-.")
        known = f"{readable}-{sha256(self.place.encode()).hexdigest()[:8]}"
        target = self.store.root / "openimages" / "metadata" / known / name
        if not target.is_file():
            url = f"{self.place.rstrip('/')}/{name}"
            self.store.progress.note(f"fetching   {url}")
            download(url, target, progress=self.store.progress)
        return target

    def _in_folder(self, name: str) -> Path:
        folder = Path(self.place).expanduser()
        for file in (folder / name, folder / Path(name).name):
            if file.is_file():
                return file
        if not folder.is_dir():
            raise UsageError(
                f"--metadata {folder}: there is no such folder. Name one that has the metadata files, or an "
                "https:// address."
            )
        raise DataError(f"{folder}: {Path(name).name} of Open Images is not in this folder. Put it there.")

    def classes(self) -> dict[str, str]:
        """The classes that have boxes: label, such as "/m/0l515", to the name for people, "Sandwich".

        Raises:
            DataError: the file is not what it should be.
        """
        path = self.file(CLASSES)
        with _readable(path), path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        if rows and rows[0][0] == "LabelName":  # some releases have a header, most have none
            del rows[0]
        for number, row in enumerate(rows, start=1):
            if len(row) != 2 or not row[0].startswith("/") or not row[1].strip():
                raise DataError(f"{path}: class {number} is not a label and a name: {row}. {_again(path)}")
        return {label: name.strip() for label, name in rows}

    def named_classes(self, names: Sequence[str]) -> dict[str, str]:
        """The classes with these names, in whichever case: label to name as it is in the metadata.

        Raises:
            UsageError: there is no such class, or not two of them.
        """
        known = {name.casefold(): (label, name) for label, name in self.classes().items()}
        spelt = [name for _, name in known.values()]
        for name in names:
            if name.casefold() not in known:
                raise UsageError(
                    f"--classes: Open Images has no boxes of {name!r}.{nearest(name, spelt)} "
                    "visionkit openimages --list shows all classes."
                )
        found = dict(known[name.casefold()] for name in names)
        if len(found) < 2:
            raise UsageError(f"--classes {', '.join(names)}: name two classes or more, to tell them apart.")
        return found

    def hierarchy(self) -> dict[str, Any]:
        """The classes as a tree: `LabelName`, and lists of such nodes as `Subcategory` and `Part`.

        Raises:
            DataError: the file is not what it should be.
        """
        path = self.file(HIERARCHY)
        with _readable(path):
            tree = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict) or "LabelName" not in tree:
            raise DataError(f"{path}: not a hierarchy of classes. {_again(path)}")
        return tree

    def tables(self, name: str, columns: Mapping[str, type]) -> Iterator[DataFrame]:
        """The named columns of a file of gigabytes, a part of its rows at a time.

        Raises:
            DataError: a column is missing, or a value is of another type.
        """
        import pandas as pd

        path = self.file(name)
        label = f"reading {path.name}"
        track = self.store.progress.track(label, path.stat().st_size, "bytes")
        with _readable(path), path.open("rb") as file, track as advance:
            parts = pd.read_csv(
                file,
                usecols=list(columns),
                dtype=dict(columns),
                chunksize=ROWS_AT_A_TIME,
                na_values=["", "nan"],
                keep_default_na=False,  # a title may be "NA"
            )
            done = 0
            for part in parts:
                advance(file.tell() - done)
                done = file.tell()
                yield part


class _readable:
    """Turns what goes wrong while `path` is read into one message."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (OSError, ValueError)):  # pandas', json's and Unicode's errors are ValueErrors
            why = " ".join(str(error).split())
            raise DataError(f"{self.path}: cannot be read ({why}). {_again(self.path)}") from error


def _again(path: Path) -> str:
    return f"Delete {path.name} there, so that it is fetched again, or name another place with --metadata."
