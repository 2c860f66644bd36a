"""What is in which shard, and where: looked up once, and kept.

The folder of a set of shards has `shards.json`, the shards in order; `parts/KEY.parquet`, what is in the
shard with this key; and `rows-HASH.npy`, which `shards.json` names: where each image lies. A shard whose size
and tag stay the same is looked at once, whatever becomes of the others, and an indexing that was interrupted
goes on. A part may also lie beside its shard, as ADDRESS.index: then a remote shard is not fetched for that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from visionkit.atomic import atomic_file
from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.progress import Progress
from visionkit.shards.addresses import WEB, Shard, file_system, shown
from visionkit.shards.cache import ShardCache
from visionkit.shards.contents import digest_of
from visionkit.shards.tars import Sample, samples
from visionkit.shards.trying import tried

LIST, PARTS = "shards.json", "parts"
BESIDE = ".index"
VERSION = 2
ROW = np.dtype([("shard", "<i4"), ("offset", "<i8"), ("length", "<i4")])
_CHANGED = ".changed"
"""Ending of an empty file that says of a shard: what lies beside it is the index of another content."""
_MOST_BESIDE = 1 << 28
"""Bytes of an index beside a shard."""


class Part(NamedTuple):
    """What is in one shard; `labels` are None where its images have any number of labels."""

    names: list[str]
    offsets: np.ndarray
    lengths: np.ndarray
    labels: list[list[str]]
    tags: bool
    digest: str


def build_index(folder: Path, shards: Sequence[Shard], cache: ShardCache, progress: Progress) -> None:
    """Look up what is in `shards`, and write it to `folder`; those that were looked at before are not read.

    Raises:
        DataError: a shard is not whole, or not as WebDataset has them.
        VisionkitError: one cannot be fetched.
    """
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    known: list[Shard] = []
    rows: list[np.ndarray] = []
    tags: set[bool] = set()
    with progress.track("indexing shards", len(shards), "files") as advance:
        for number, shard in enumerate(shards):
            part = _part(folder, shard, cache)
            row = np.empty(len(part.names), ROW)
            row["shard"], row["offset"], row["length"] = number, part.offsets, part.lengths
            rows.append(row)
            known.append(replace(shard, digest=part.digest))
            tags.add(part.tags)
            advance(1)
    if len(tags) > 1:
        raise DataError(
            f"{shown(shards[0].address)}: some shards have labels, and others tags. Take one kind."
        )
    found = np.concatenate(rows)
    named = f"rows-{blake2b(found.tobytes(), digest_size=8).hexdigest()}.npy"
    with atomic_file(folder / named) as file:
        np.save(file, found)
    about = {"version": VERSION, "tags": tags == {True}, "cache": str(cache.folder), "limit": cache.limit}
    about |= {"rows": named, "shards": [asdict(each) for each in known]}
    with atomic_file(folder / LIST) as file:  # with which the rows count
        if any(shown(each.address) != each.address for each in known):
            os.chmod(file.name, 0o600)  # passwords and signatures stay in addresses, to fetch with
        file.write(f"{json.dumps(about)}\n".encode())
    for old in folder.glob("rows*.npy"):
        if old.name != named:
            with suppress(OSError):  # Windows keeps what is open
                old.unlink()


def read_list(folder: Path) -> dict[str, Any]:
    """What `shards.json` in `folder` says.

    Raises:
        FileNotFoundError: it is not there.
        DataError: it is damaged, or of another version of visionkit.
    """
    try:
        about = json.loads((folder / LIST).read_text(encoding="utf-8"))
        if about["version"] != VERSION:
            raise ValueError(f"version {about['version']}")
        about["shards"] = [Shard(**each) for each in about["shards"]]
        about["rows"] = Path(about["rows"]).name
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / LIST}: damaged ({error}). Remove the folder, and start anew.") from error
    return dict(about)


def is_up_to_date(folder: Path, shards: Sequence[Shard], cache: ShardCache) -> bool:
    """Whether `folder` has the index of exactly these shards, and says to keep them in this cache."""
    try:
        about = read_list(folder)
    except (OSError, VisionkitError):
        return False
    same = [replace(each, digest="") for each in about["shards"]] == list(shards)
    kept = about.get("cache"), about.get("limit")
    return same and kept == (str(cache.folder), cache.limit) and (folder / about["rows"]).is_file()


def read_part(folder: Path, shard: Shard) -> Part:
    """What is in the shard.

    Raises:
        DataError: the index is damaged.
    """
    file = folder / PARTS / f"{shard.key}.parquet"
    try:
        return _decoded(file.read_bytes(), shard)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: damaged ({error}). Remove {folder}, and start anew.") from error


def beside(address: str) -> str:
    """Where the index of the shard at this address would lie."""
    if not address.lower().startswith(WEB):
        return address + BESIDE
    path, mark, query = address.partition("?")
    return path + BESIDE + mark + query


def forget(folder: Path, shard: Shard) -> None:
    """Have the shard indexed anew, by its own content: it is not what the index says, nor one beside it.

    Raises:
        DataError: the index cannot be written.
    """
    part = folder / PARTS / f"{shard.key}.parquet"
    try:
        part.with_suffix(_CHANGED).touch()
        part.unlink(missing_ok=True)
        (folder / LIST).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{shown(shard.address)}: its content is not what it was when it was indexed. Remove the folder "
            f"{folder}, and start anew."
        ) from error


def encoded(found: Sequence[Sample], file: BinaryIO, shard: str) -> bytes:
    """The content of an index file for these images of a shard.

    Args:
        found: the images.
        file: the shard, whose size and digest the index tells.
        shard: its name for people.

    Raises:
        DataError: some have labels, and others tags.
    """
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {each.tags for each in found}
    if len(kinds) != 1:
        raise DataError(
            f"{shard}: " + ("some samples have tags, others one label." if kinds else "it is empty.")
        )
    table = pa.table(
        {
            "name": pa.array([each.name for each in found], pa.string()),
            "offset": pa.array([each.offset for each in found], pa.int64()),
            "length": pa.array([each.length for each in found], pa.int32()),
            "labels": pa.array([each.labels for each in found], pa.list_(pa.string())),
        },
        metadata={
            "version": str(VERSION),
            "tags": str(int(kinds == {True})),
            "size": str(file.seek(0, 2)),
            "digest": digest_of(file),
        },
    )
    out = BytesIO()
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _part(folder: Path, shard: Shard, cache: ShardCache) -> Part:
    """What is in the shard: as it is known, as it stands beside it, or as the shard itself tells."""
    with suppress(DataError):
        return read_part(folder, shard)
    changed = (folder / PARTS / f"{shard.key}{_CHANGED}").exists()
    content = None if changed else _beside(shard)
    if content is None:
        with cache.open(shard) as file:
            content = encoded(list(samples(file, shown(shard.address))), file, shown(shard.address))
    with atomic_file(folder / PARTS / f"{shard.key}.parquet", sync_folder=False) as out:
        out.write(content)
    return read_part(folder, shard)


def _beside(shard: Shard) -> bytes | None:
    """The index beside the shard; None where there is none, or one of another shard."""

    def read() -> bytes:
        address = beside(shard.address)
        system, path = file_system(address)
        whole = {"block_size": 0} if address.lower().startswith(WEB) else {}  # not in ranges
        with system.open(path, "rb", **whole) as file:
            content = b""
            while len(content) < _MOST_BESIDE and (more := file.read(_MOST_BESIDE - len(content))):
                content += more  # of a web server, as much as has come
        return content

    try:
        content = tried(read)
        part = _decoded(content, shard)
        if shard.is_local and part.digest != _digest_at(shard):  # of a remote one, once it is fetched
            return None
        return content
    except UsageError:
        raise
    except Exception:  # not there, not to be read, not ours: the shard itself tells
        return None


def _digest_at(shard: Shard) -> str:
    with open(shard.address, "rb") as file:
        return digest_of(file)


def _decoded(content: bytes, shard: Shard) -> Part:
    """Raises ValueError where it is damaged, or of a shard of another size."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(BytesIO(content))
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        names = table["name"].to_pylist()
        offsets, lengths = table["offset"].to_numpy(), table["length"].to_numpy()
        labels, tags, digest = table["labels"].to_pylist(), about["tags"] == "1", about["digest"]
        version, size = int(about["version"]), int(about.get("size", -1))
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise ValueError(f"no index ({error})") from error
    fits = len(names) and lengths.min() >= 0 and offsets.min() >= 0
    if version != VERSION or size != shard.size or not fits or int((offsets + lengths).max()) > size:
        raise ValueError("the index of another shard")
    if any(".." in name.split("/") or name.startswith("/") for name in names):
        raise ValueError("names that lead outside")
    return Part(names, offsets, lengths, labels, tags, digest)
