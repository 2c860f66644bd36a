"""Whether shards are all there, of one call, and have every image of their list as often as it is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.errors import VisionkitError, listing
from visionkit.inference.growing_files import csv_records
from visionkit.inference.manifest import Part, ShardManifest, columns_of, names_in, read_manifest
from visionkit.inference.shards import MOST, NameSum, Shard
from visionkit.inference.targets import ShardTarget, beside, difference
from visionkit.progress import Advance, Progress

NOTHING = "Nothing was written."


def whole_shards(folder: Path, progress: Progress) -> list[ShardManifest]:
    """The manifests of all shards, after their names were read and compared with the list.

    Raises:
        VisionkitError: something is missing, double or of another call; the message says what.
    """
    found = _manifests(folder)
    shards = _of_one_call(folder, found)
    _refuse_strangers(folder, shards)
    faults: list[str] = []
    rows = sum(each.rows for each in shards)
    with progress.track("check", rows, "images") as advance:
        for manifest in shards:
            faults += _faults_of(folder, manifest, advance)
    if faults:
        double = double_images([folder / _shard(each).name for each in shards])
        named = f" Images with several rows: {listing(double)}." if double else ""
        raise VisionkitError(
            f"{folder}: {'; '.join(faults[:5])}{_more(faults)}.{named} Delete the folders of these shards, "
            f"and repeat visionkit predict with their --shard. {NOTHING}"
        )
    _refuse_other_sum(folder, shards)
    return shards


def failed_rows(folder: Path, manifest: ShardManifest) -> Iterator[list[str]]:
    """The images of a shard that have no row, each with the reason.

    Raises:
        VisionkitError: their list is damaged.
    """
    if not manifest.failed:
        return
    path = _target(folder, manifest).failed
    for number, (row, _) in enumerate(csv_records(path), start=1):
        if len(row) != 2:
            raise VisionkitError(
                f"{path}: row {number} is not an image and a reason: somebody has changed the file. Repeat "
                f"visionkit predict with --shard {manifest.shard}/{manifest.work['shards']}. {NOTHING}"
            )
        if number > 1:
            yield row


def is_unchanged(folder: Path, shards: list[ShardManifest]) -> bool:
    """Whether the manifests are still what was read: who adds to a shard takes its manifest away first."""
    try:
        return all(read_manifest(_target(folder, each).manifest, ShardManifest) == each for each in shards)
    except VisionkitError:
        return False


def double_images(folders: Sequence[Path], most: int = 5) -> list[str]:
    """Some of the images that have more than one row, which is all right where a user named them twice.

    Of all names, memory holds 64 bits each, and for a moment twice that: 1.6 GB for 100 million rows.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    readable = [(path, marks) for path in paths if (marks := _marks(path)) is not None]
    if not readable:
        return []
    marks = np.concatenate([each for _, each in readable])
    marks.sort()
    wanted = set(np.unique(marks[1:][marks[1:] == marks[:-1]])[:most].tolist())
    found: dict[str, None] = {}
    for path, own in readable:
        if not wanted.isdisjoint(own.tolist()):
            found |= dict.fromkeys(name for name in names_in(path) if _mark(name) in wanted)
    return list(found)


def _manifests(folder: Path) -> list[ShardManifest]:
    found = []
    for path in sorted(folder.glob("_shard-*.manifest.json")):
        manifest = read_manifest(path, ShardManifest)
        if manifest is None:
            continue
        if not _is_of_a_shard(manifest) or _target(folder, manifest).manifest != path:
            raise VisionkitError(
                f"{path}: is not the manifest of this shard: somebody has copied or changed it. Delete it "
                f"and repeat the predict of the shard. {NOTHING}"
            )
        found.append(manifest)
    return found


def _is_of_a_shard(manifest: ShardManifest) -> bool:
    of, images = manifest.work.get("shards"), manifest.work.get("images")
    try:
        NameSum.read(manifest.names)
        NameSum.read(manifest.listed)
    except ValueError:
        return False
    listed = isinstance(images, dict) and isinstance(images.get("count"), int) and "columns" in manifest.work
    return listed and isinstance(of, int) and 1 <= manifest.shard <= of <= MOST


def _of_one_call(folder: Path, found: list[ShardManifest]) -> list[ShardManifest]:
    """The manifests of all shards, in order."""
    work = _work_of(folder) or (found[0].work if found else None)
    if work is None or not isinstance(work.get("shards"), int):
        raise VisionkitError(
            f"{folder}: no shard of it is finished, or it was not written in shards. Call visionkit predict "
            f"with --shard first. {NOTHING}"
        )
    of = work["shards"]
    others = [(each, difference(work, each.work)) for each in found]
    wrong = [f"{_shard(each)} was predicted {what}" for each, what in others if what]
    wrong += [
        f"{_shard(each)} was predicted in {each.names_from} and not in {found[0].names_from}"
        for each in found
        if each.names_from != found[0].names_from
    ]
    if wrong:
        raise VisionkitError(
            f"{folder}: {'; '.join(wrong[:5])}{_more(wrong)}. Delete what is not of this call, or predict "
            f"into a new folder. {NOTHING}"
        )
    by_number = {each.shard: each for each in found}
    missing = [number for number in range(1, of + 1) if number not in by_number]
    if missing:
        begun = [number for number in missing if (folder / Shard(number, of).name).is_dir()]
        never = [number for number in missing if number not in set(begun)]
        again = f"--shard {missing[0]}/{of}{' and so on' if len(missing) > 1 else ''}"
        said = [
            f"{_numbers(numbers)} of {of} {'is' if len(numbers) == 1 else 'are'} {what}"
            for numbers, what in ((never, "missing"), (begun, "not finished"))
            if numbers
        ]
        raise VisionkitError(
            f"{folder}: {' and '.join(said)}. Repeat visionkit predict with {again}: only what is "
            f"missing is done. {NOTHING}"
        )
    return [by_number[number] for number in range(1, of + 1)]


def _work_of(folder: Path) -> dict[str, Any] | None:
    """What the table was begun with; None where the file that says so was left behind."""
    try:
        work = json.loads(beside(folder, "predict.json").read_text(encoding="utf-8"))["work"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return work if isinstance(work, dict) else None


def _refuse_strangers(folder: Path, shards: list[ShardManifest]) -> None:
    """Refuse what readers of the folder would take for a part of the table, and is none."""
    names = {_shard(each).name: {part.file for part in each.parts} for each in shards}
    found = [name for name in _seen(folder) if name not in names]
    for name, parts in names.items():
        if (folder / name).is_dir():
            found += [f"{name}/{file}" for file in _seen(folder / name) if file not in parts]
    if found:
        raise VisionkitError(
            f"{folder}: {listing(found)} {'is' if len(found) == 1 else 'are'} of no shard, and would be read "
            f"as a part of the table. Take it out of the folder. {NOTHING}"
        )


def _refuse_other_sum(folder: Path, shards: list[ShardManifest]) -> None:
    """Refuse shards whose entries, images and whole tar files, are together not those of the list."""
    listed = shards[0].work["images"]
    total = NameSum()
    for manifest in shards:
        total.add_all(NameSum.read(manifest.listed))
    same = sum(each.entries for each in shards) == listed["count"] and str(total) == listed["sum"]
    if "tars" not in listed:  # then each entry is an image
        same = same and all((each.entries, each.listed) == (each.images, each.names) for each in shards)
    if not same:
        raise VisionkitError(
            f"{folder}: the manifests of its shards do not add up to the {listed['count']:,} images and tar "
            f"files of the list: somebody has changed them. Predict into a new folder. {NOTHING}"
        )


def _seen(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith((".", "_")))


def _faults_of(folder: Path, manifest: ShardManifest, advance: Advance) -> list[str]:
    """What is wrong with the rows of a shard."""
    shard, faults, names, count = _shard(manifest), [], NameSum(), 0
    for part in manifest.parts:
        fault, found = _read(folder / shard.name / part.file, part, manifest.work["columns"], advance)
        if fault:
            faults.append(f"{shard}: {fault}")
        names.add_all(found)
        count += part.rows
    failed = 0
    for row in failed_rows(folder, manifest):
        names.add(row[0])
        failed += 1
    if failed != manifest.failed:
        faults.append(
            f"{shard}: {_target(folder, manifest).failed.name} lists {failed:,} images, and "
            f"{manifest.failed:,} have failed"
        )
    elif not faults and (count + manifest.failed != manifest.images or str(names) != manifest.names):
        faults.append(f"{shard}: has other images than its share of the list, or not so often")
    return faults


def _read(path: Path, part: Part, columns: list[str], advance: Advance) -> tuple[str, NameSum]:
    """What is wrong with a part, and the sum of its names."""
    names, rows = NameSum(), 0
    if not path.is_file():
        return f"{part.file} is missing", names
    try:
        if columns_of(path) != columns:
            return f"{part.file} has other columns than were written", names
        for name in names_in(path):
            names.add(name)
            rows += 1
            if rows % 1000 == 0:
                advance(1000)
    except VisionkitError:
        return f"{part.file} cannot be read", names
    advance(rows % 1000)
    if rows != part.rows:
        return f"{part.file} has {rows:,} rows, and {part.rows:,} were written", names
    return ("" if str(names) == part.names else f"{part.file} has other images than were written"), names


def _mark(name: str) -> int:
    return NameSum.of([name]).total >> 64


def _marks(path: Path) -> np.ndarray | None:
    """64 bits for each name of a file; None where it cannot be read."""
    try:
        return np.fromiter(map(_mark, names_in(path)), dtype=np.uint64)
    except VisionkitError:
        return None


def _shard(manifest: ShardManifest) -> Shard:
    return Shard(manifest.shard, manifest.work["shards"])


def _target(folder: Path, manifest: ShardManifest) -> ShardTarget:
    return ShardTarget(folder, folder / _shard(manifest).name, ".parquet")


def _numbers(numbers: Sequence[int]) -> str:
    """As people say it: shard 3, or shards 3, 5."""
    return f"shard{'' if len(numbers) == 1 else 's'} {listing([str(each) for each in numbers], 10)}"


def _more(faults: Sequence[str]) -> str:
    return f", and {len(faults) - 5:,} more" if len(faults) > 5 else ""
