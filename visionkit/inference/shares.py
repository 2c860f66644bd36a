"""Which images of a list one of many processes does: every N-th, or those of every N-th tar file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.image_sources import Unusable, shown_name
from visionkit.inference.inputs import Entry, Input, entry_name, is_relative, tar_name
from visionkit.inference.shards import ListMark, NameSum, Shard
from visionkit.shards.named_images import Tar, looked_at

TARS_EACH = 4
"""So many tar files for each process, and each is done by one alone; with fewer, shares would be uneven."""


class Share:
    """What one shard has of a list.

    Where there are at least `TARS_EACH` tar files for each shard, an entry of the list is an image that is
    named by itself, or a whole tar file: a process looks into its own only. Otherwise each image is one.

    Args:
        entries: the list.
        shard: which share.

    Attributes:
        mark: tells the list from others.
        inputs: its images, without those of its tar files.
        tars: its tar files.
        relative: whether images of the list are named relative to the current folder.

    Raises:
        UsageError: two tar files have the same name.
        VisionkitError: images, or what is at an address, cannot be listed: then nobody knows whose is what.
    """

    def __init__(self, entries: Iterable[Entry], shard: Shard) -> None:
        self.shard = shard
        self.mark = ListMark()
        self.relative = False
        self.tars: list[Tar] = []
        self._wholes = 0
        self.inputs = list(shard.cut(self._images(entries)))

    @property
    def list_mark(self) -> dict[str, int | str]:
        """`mark` for a record; with the number of tar files where they are entries."""
        return self.mark.as_json() | ({"tars": self._wholes} if self._wholes else {})

    @property
    def count(self) -> int:
        """Its entries."""
        return len(self.inputs) + len(self.tars)

    @cached_property
    def sum(self) -> NameSum:
        """Of its entries."""
        found = NameSum.of(each.name for each in self.inputs)
        found.add_all(NameSum.of(map(entry_name, self.tars)))
        return found

    def _images(self, entries: Iterable[Entry]) -> Iterator[Input]:
        tars: list[Tar] = []
        for each in entries:
            if isinstance(each, Tar):
                tars.append(each)
            else:
                yield self._seen(each)
        if len(tars) >= TARS_EACH * self.shard.of:
            self._take(looked_at(tars))
            return
        for tar in tars:
            for image in tar.images():
                yield self._seen(Input(image))

    def _seen(self, each: Input) -> Input:
        if isinstance(each.image, Unusable) and each.image.unlisted:
            reason = each.image.reason.rstrip(".")
            raise VisionkitError(
                f"{shown_name(each.image.name)}: cannot be listed ({reason}), so nobody knows which "
                "images are whose. Nothing was written: mend what is named, or leave it out."
            )
        self.mark.add(each.name)
        self.relative = self.relative or is_relative(each)
        return each

    def _take(self, tars: Sequence[Tar]) -> None:
        addresses: dict[str, str] = {}
        for tar in tars:
            self.mark.add(entry_name(tar))
            if addresses.setdefault(tar_name(tar), tar.address) != tar.address:
                raise UsageError(
                    f"{tar_name(tar)}: two tar files are called so, and their rows could not be told apart. "
                    "Name one of them in a call of its own."
                )
        self._wholes = len(tars)
        self.tars = list(self.shard.cut(tars))
