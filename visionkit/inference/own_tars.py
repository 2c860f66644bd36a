"""The tar files of one share of a list, each looked into when its turn has come, and then only once."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from visionkit.errors import VisionkitError, listing
from visionkit.inference.inputs import Input, entry_name, tar_name
from visionkit.inference.shards import NameSum
from visionkit.shards.named_images import Tar


class Listed(NamedTuple):
    """How many images are in a tar file, and `NameSum` of them."""

    images: int
    names: str


class OwnTars:
    """Tar files whose images belong to one shard.

    What was seen in a tar file is remembered beside the shard, so that one whose images are all done is not
    fetched again by a later call.

    Args:
        tars: those of the share, which may have one several times.
        memory: the file that remembers.
    """

    def __init__(self, tars: Sequence[Tar], memory: Path = Path(os.devnull)) -> None:
        self._times = Counter(tars)
        self._memory = memory
        self._listed = _remembered(memory) if tars else {}
        self._above = {f"{tar_name(tar)}/": tar for tar in self._times}
        self._rows: dict[Tar, Counter[str]] = {tar: Counter() for tar in self._times}
        self.pending: list[Tar] = list(self._times)
        """Those that may have images without a row."""

    @property
    def images(self) -> int:
        """In all tar files that were looked at, now or earlier."""
        return sum(self._seen(tar).images * times for tar, times in self._times.items())

    @property
    def there(self) -> int:
        """Images that had a row when the call began."""
        return sum(rows.total() for rows in self._rows.values())

    @property
    def names(self) -> NameSum:
        """Of the images in all tar files that were looked at."""
        total = NameSum()
        for tar, times in self._times.items():
            total.add_all(NameSum.read(self._seen(tar).names), times)
        return total

    def take(self, rows: Counter[str]) -> None:
        """Take those rows out of a table's that are of these tar files."""
        for name in list(rows):
            if (tar := self._of(name)) is not None:
                self._rows[tar][name] = rows.pop(name)
        self.pending = [tar for tar in self._times if not self._is_done(tar)]

    def missing(self, table: Path) -> Iterator[list[Input]]:
        """For one tar file after the other, the images without a row; the next is fetched meanwhile.

        Args:
            table: for messages.

        Raises:
            VisionkitError: there are rows of images that are not in a tar file, or, once the others are done,
                one cannot be read.
        """
        faults: list[VisionkitError] = []
        for tar, following in zip(self.pending, [*self.pending[1:], None]):
            try:
                inputs = [Input(image) for image in tar.images()]
            except VisionkitError as error:
                faults.append(error)
                continue
            if following is not None:
                following.fetch_ahead()
            self._remember(tar, inputs)
            left = self._rows[tar].copy()
            todo = missing(inputs * self._times[tar], left)
            refuse_surplus(table, left)
            yield todo
        if faults:
            count = "one tar file" if len(faults) == 1 else f"{len(faults):,} tar files"
            raise VisionkitError(
                f"{table}: {count} of {len(self._times):,} cannot be read, and the others are done. Call "
                f"again once they can be. {faults[0]}"
            ) from faults[0]

    def _of(self, name: str) -> Tar | None:
        place = name.find("/")
        while place >= 0:
            if (tar := self._above.get(name[: place + 1])) is not None:
                return tar
            place = name.find("/", place + 1)
        return None

    def _is_done(self, tar: Tar) -> bool:
        if entry_name(tar) not in self._listed:
            return False
        seen, rows, wanted = self._seen(tar), self._rows[tar], NameSum()
        wanted.add_all(NameSum.read(seen.names), self._times[tar])
        same = rows.total() == seen.images * self._times[tar]
        return same and str(NameSum.of(rows.elements())) == str(wanted)

    def _seen(self, tar: Tar) -> Listed:
        return self._listed.get(entry_name(tar), Listed(0, str(NameSum())))

    def _remember(self, tar: Tar, inputs: Sequence[Input]) -> None:
        listed = Listed(len(inputs), str(NameSum.of(each.name for each in inputs)))
        if self._listed.get(entry_name(tar)) == listed:
            return
        self._listed[entry_name(tar)] = listed
        with self._memory.open("a", encoding="utf-8") as file:
            # a line before, too: what a kill left half-written ends there
            file.write("\n" + json.dumps({"tar": entry_name(tar), **listed._asdict()}) + "\n")


def missing(inputs: Sequence[Input], rows: Counter[str]) -> list[Input]:
    """The images without a row; the rows of the others are taken out of `rows`."""
    todo = []
    for each in inputs:
        if rows[each.name] > 0:
            rows[each.name] -= 1
        else:
            todo.append(each)
    return todo


def refuse_surplus(table: Path, rows: Counter[str]) -> None:
    """Refuse rows that are of no image of the share.

    Raises:
        VisionkitError: there are some.
    """
    if surplus := [name for name, count in rows.items() if count > 0]:
        raise VisionkitError(
            f"{table}: has rows of images that are not in its share of the list, or not so often: "
            f"{listing(surplus)}. Delete this folder, and its images are done again."
        )


def _remembered(memory: Path) -> dict[str, Listed]:
    found = {}
    with suppress(FileNotFoundError):
        for line in memory.read_bytes().splitlines():
            with suppress(ValueError, KeyError, TypeError):  # half-written: the tar file is looked at again
                said = json.loads(line)
                NameSum.read(said["names"])
                found[str(said["tar"])] = Listed(int(said["images"]), said["names"])
    return found
