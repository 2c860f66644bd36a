"""What was fetched: one small record a data set, so that it can be listed and removed by name."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from visionkit.atomic import write_atomically
from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.progress import Progress
from visionkit.shards.addresses import shown
from visionkit.sources.base import Source, Store
from visionkit.sources.locks import alone_with

RECORDS = "catalogue"


@dataclass(frozen=True)
class Entry:
    """One data set on the disk.

    Args:
        name: the source's name, such as "fastai:PETS", without passwords and signatures.
        folder: where it is.
        url: where it came from.
        licence: its terms; empty where visionkit does not know them.
        files: how many files it has.
        bytes: how much they hold together.
        fetched: when, in ISO 8601.
        leftovers: files and folders outside of `folder` that go with it, such as the archive.
    """

    name: str
    folder: str
    url: str
    licence: str
    files: int
    bytes: int
    fetched: str
    leftovers: tuple[str, ...] = ()


def fetched(source: Source, store: Store, licence: str = "") -> Path:
    """The folder of `source`, fetched where it is not there yet; a lock keeps other processes out meanwhile.

    Args:
        source: where the data set comes from.
        store: where it goes to.
        licence: its terms, where the caller knows them and the source does not.

    Raises:
        VisionkitError: it cannot be fetched; the message says what to do.
    """
    there = source.is_there(store.root)
    if there:
        path = source.fetch(store)
    else:
        with _locked(source.folder(store.root), store.progress):
            path = source.fetch(store)
    if not there or not _record_file(store.root, source.name).is_file():
        with suppress(OSError):  # a store that cannot be written to serves all the same
            _write(_record_file(store.root, source.name), entry(source, path, store.root, licence))
    return path


def entry(source: Source, folder: Path, root: Path, licence: str = "") -> Entry:
    """What there is to say about the fetched data set in `folder`."""
    files, size = _measure(folder)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    kept = tuple(map(str, source.leftovers(root)))
    terms = licence or source.licence
    return Entry(shown(source.name), str(folder), source.url, terms, files, size, now, kept)


def entries(root: Path) -> list[Entry]:
    """The data sets that were fetched and are still there, by name; drawn samples among them."""
    found = [record for _, record in _records(root) if Path(record.folder).is_dir()]
    for folder in sorted((root / "samples").glob("[!.]*/")):
        files, size = _measure(folder)
        drawn = datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
        found.append(
            Entry(f"sample:{folder.name}", str(folder), "", "drawn by visionkit", files, size, drawn)
        )
    return sorted(found, key=lambda record: record.name)


def find_entry(root: Path, name: str) -> Entry:
    """The fetched data set called `name`.

    Raises:
        UsageError: there is none.
    """
    name = shown(name)
    known = {record.name: record for record in entries(root)}
    if name not in known:
        hint = nearest(name, list(known)) if known else ""
        raise UsageError(f"there is no data set {name!r} in {root}.{hint} See visionkit data --list.")
    return known[name]


def remove(root: Path, record: Entry) -> None:
    """Delete a fetched data set with its leftovers and its record; a running fetch of it is waited for.

    The folder is renamed first, so that a removal that is killed leaves nothing that looks whole.

    Raises:
        VisionkitError: it cannot be deleted.
    """
    folder = Path(record.folder)
    doomed = folder.with_name(f".{folder.name}.removed-{os.getpid()}")
    try:
        with _locked(folder, Store(root).progress):
            folder.rename(doomed)
            for file, other in _records(root):
                if other.folder == record.folder:
                    file.unlink(missing_ok=True)
        shutil.rmtree(doomed)
        for leftover in map(Path, record.leftovers):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise VisionkitError(f"{folder}: cannot be removed ({error}).") from error


def _record_file(root: Path, name: str) -> Path:
    """Where the record is: a readable name, and a hash because different names may read the same."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", shown(name))[:80]
    return root / RECORDS / f"{readable}-{sha256(name.encode()).hexdigest()[:8]}.json"


def _records(root: Path) -> Iterator[tuple[Path, Entry]]:
    """The records in order, and their files; those that cannot be read are left out."""
    for file in sorted((root / RECORDS).glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            record = Entry(**json.loads(file.read_text(encoding="utf-8")))
            yield file, replace(record, name=shown(record.name))


def _write(file: Path, record: Entry) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(record), indent=2) + "\n")


def _measure(folder: Path) -> tuple[int, int]:
    """How many files are in `folder`, and their bytes."""
    count = size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_size
                count += 1
    return count, size


def _locked(folder: Path, progress: Progress) -> AbstractContextManager[None]:
    """Hold the lock of `folder`, which lies beside it."""
    return alone_with(folder, folder.with_name(f".{folder.name}.lock"), progress)
