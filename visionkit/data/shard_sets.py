"""The images of shards with their labels, and who of them validates."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from visionkit.data.class_folders import TEST_FOLDERS
from visionkit.data.own_split import Splitter, drawn, who_validates
from visionkit.data.photos import PhotoSettings
from visionkit.data.splits import VALID_FOLDERS, Splits
from visionkit.errors import UsageError, listing
from visionkit.progress import quantity
from visionkit.setting_types import setting

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.recipe import TaskName
    from visionkit.shards.reading import ShardImage, ShardSet


class ShardSettings(PhotoSettings):
    """How shards are divided and read."""

    valid_shards: Annotated[
        str,
        setting(
            "Which shards validate: a pattern of names such as 'val-*'; auto takes those called valid, val "
            "or validation, else those called test, else --valid-pct of the shards, drawn by the seed. Those "
            "called test that do not validate are left out.",
            "Recipe",
            "auto|PATTERN",
            min_length=1,
        ),
    ] = "auto"
    mix_shards: Annotated[
        int,
        setting(
            "Training images are shuffled among so many shards at a time; those need room in the cache of "
            "shards.",
            "Recipe",
            ge=1,
        ),
    ] = 8
    cache: Literal["auto", "off"] = "off"

    def check(self) -> None:
        """Raise `UsageError` for settings that do not go together."""
        super().check()
        if self.weighted_sampling:
            raise UsageError(
                "--weighted-sampling: images of shards are read in the order of shards. Take --class-weights."
            )


def task_of_shards(path: Path, settings: ShardSettings) -> TaskName:
    """By what stands beside the images: tags, or a label."""
    from visionkit.shards.source import shard_set

    return "multi-label" if shard_set(path).tags else "single-label"


class ShardParts(NamedTuple):
    """The numbers of shards that validate, none where images are drawn; and of those that are left out."""

    valid: list[int]
    left_out: list[int]


def divided_shards(found: ShardSet, settings: ShardSettings) -> ShardParts:
    """Who validates. What is called test does not train where others do, unless the pattern says so.

    Raises:
        UsageError: the pattern fits none, or all; or no shard is left to train with.
    """
    names = [shard.name for shard in found.shards]
    test = {number for number, name in enumerate(names) if _is_called(name, TEST_FOLDERS)}
    wanted = settings.valid_shards
    if wanted != "auto":
        held = [
            number
            for number, name in enumerate(names)
            if fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(PurePosixPath(name).name, wanted)
        ]
        left_out = sorted(test.difference(held))
        if not held or len(held) + len(left_out) == len(names):
            fits = "none" if not held else "all" if not left_out else "all but those called test"
            raise UsageError(f"--valid-shards {wanted}: fits {fits} of the shards: {listing(names, 3)}.")
        return ShardParts(held, left_out)
    held = [number for number, name in enumerate(names) if _is_called(name, VALID_FOLDERS)]
    left_out = sorted(test.difference(held))
    if held and left_out and len(held) + len(left_out) == len(names):
        raise UsageError(
            f"all shards are called valid or test: {listing(names, 3)}. Name those to train with too, or say "
            "with --valid-shards which validate."
        )
    if not held:
        held, left_out = left_out, []
    if held and len(held) < len(names):
        return ShardParts(held, left_out)
    if len(names) == 1:
        return ShardParts([], [])
    count = min(len(names) - 1, max(1, round(settings.valid_pct * len(names))))
    return ShardParts(sorted(Random(settings.seed).sample(range(len(names)), count)), [])


def split_by_shards(found: ShardSet, settings: ShardSettings) -> Splitter:
    """Fastai's splitter of the images."""
    import numpy as np

    parts = divided_shards(found, settings)
    if not parts.valid:
        return drawn(settings)

    def split(images: Sequence[ShardImage]) -> Splits:
        rows = np.fromiter((image.row for image in images), np.int64, len(images))
        shards = found.rows["shard"][rows]
        validates = np.isin(shards, parts.valid)
        trains = ~validates & ~np.isin(shards, parts.left_out)
        return np.flatnonzero(trains).tolist(), np.flatnonzero(validates).tolist()

    return split


def describe_shards(dataset: Dataset) -> str:
    """What was found, who validates, and where shards are kept."""
    from visionkit.shards.source import shard_set

    assert isinstance(dataset.settings, ShardSettings)
    found = shard_set(dataset.path)
    parts = divided_shards(found, dataset.settings)
    told = f"{len(parts.valid):,} of them validate{_named(found, parts.valid)}" if parts.valid else ""
    if parts.left_out:
        told += f", {len(parts.left_out):,} called test left out{_named(found, parts.left_out)}"
    size = quantity(sum(shard.size for shard in found.shards), "bytes")
    count = len(found.shards)
    shards = "1 shard" if count == 1 else f"{count:,} shards"
    lines = [f"found      {len(found):,} images in {shards}, {size}; {who_validates(dataset.settings, told)}"]
    if any(not shard.is_local for shard in found.shards):
        largest = max(shard.size for shard in found.shards)
        limit = found.cache.limit
        lines.append(f"shards     kept in {found.cache.folder}, {quantity(limit, 'bytes')} at most")
        if limit < (dataset.settings.mix_shards + 1) * largest:
            lines.append(
                f"note       {dataset.settings.mix_shards} shards of up to {quantity(largest, 'bytes')} are "
                "mixed, which have no room there: many are fetched again and again. Take fewer --mix-shards, "
                "or a larger shards_gb of [cache] in settings.ini."
            )
    return "\n".join(lines)


def _named(found: ShardSet, numbers: list[int]) -> str:
    return f" ({listing([found.shards[number].name for number in numbers], 3)})"


def _is_called(name: str, words: frozenset[str]) -> bool:
    """Whether a folder or the beginning of the file's name says so: valid/…, val-000000.tar, val000.tar."""
    *folders, file = PurePosixPath(name.lower()).parts
    begins = [re.split(r"[^a-z]", file)[0], *(re.sub(r"[-_.]?\d+$", "", folder) for folder in folders)]
    return not words.isdisjoint(begins)
