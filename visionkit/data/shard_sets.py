"""The images of shards with their labels, and who of them validates."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal

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
            "or validation, else --valid-pct of the shards, drawn by the seed.",
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


def validation_shards(found: ShardSet, settings: ShardSettings) -> list[int]:
    """The numbers of the shards that validate; none where there is but one, and images are drawn.

    Raises:
        UsageError: the pattern fits none, or all.
    """
    names = [shard.name for shard in found.shards]
    wanted = settings.valid_shards
    if wanted != "auto":
        held = [
            number
            for number, name in enumerate(names)
            if fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(PurePosixPath(name).name, wanted)
        ]
        if not held or len(held) == len(names):
            fits = "all" if held else "none"
            raise UsageError(f"--valid-shards {wanted}: fits {fits} of the shards: {listing(names, 3)}.")
        return held
    held = [number for number, name in enumerate(names) if _is_called_valid(name)]
    if held and len(held) < len(names):
        return held
    if len(names) == 1:
        return []
    count = min(len(names) - 1, max(1, round(settings.valid_pct * len(names))))
    return sorted(Random(settings.seed).sample(range(len(names)), count))


def split_by_shards(found: ShardSet, settings: ShardSettings) -> Splitter:
    """Fastai's splitter of the images."""
    import numpy as np

    held = validation_shards(found, settings)
    if not held:
        return drawn(settings)

    def split(images: Sequence[ShardImage]) -> Splits:
        rows = np.fromiter((image.row for image in images), np.int64, len(images))
        validates = np.isin(found.rows["shard"][rows], held)
        return np.flatnonzero(~validates).tolist(), np.flatnonzero(validates).tolist()

    return split


def describe_shards(dataset: Dataset) -> str:
    """What was found, who validates, and where shards are kept."""
    from visionkit.shards.source import shard_set

    assert isinstance(dataset.settings, ShardSettings)
    found = shard_set(dataset.path)
    held = validation_shards(found, dataset.settings)
    told = f"{len(held):,} of them validate" if held else ""
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


def _is_called_valid(name: str) -> bool:
    """Whether a folder or the beginning of the file's name says so: valid/…, val-000000.tar."""
    *folders, file = PurePosixPath(name).parts
    begin = file.lower().replace("_", "-").replace(".", "-").split("-")[0]
    return begin in VALID_FOLDERS or any(folder.lower() in VALID_FOLDERS for folder in folders)
