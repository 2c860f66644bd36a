"""What was seen of each file, in an SQLite file, so that files which did not change are not read again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE = 20.0
"""Seconds to wait for another process that writes."""
PER_QUERY = 500

Stamp = tuple[int, int]
"""A file's size in bytes and its time of modification in nanoseconds."""


def stamp(path: Path) -> Stamp | None:
    """What tells that the file at `path` is still the same; None where it cannot be told."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


class Memory:
    """Texts remembered by file; a context manager.

    Several processes can share it. It is only a convenience: a file that cannot be opened or written means
    that nothing is remembered, and one that is damaged is put aside as NAME.damaged and begun anew.

    Args:
        file: the SQLite file, made where it is not there; None remembers nothing.
        version: what was remembered under another version counts for nothing.
    """

    def __init__(self, file: Path | None, version: str) -> None:
        self.file = file
        self.version = version
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Memory:
        if self.file is not None:
            try:
                self._connect(self.file)
            except sqlite3.OperationalError:
                self._close()
            except (sqlite3.DatabaseError, OSError):
                self._begin_anew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def recall(self, kind: str, stamps: dict[Path, Stamp]) -> dict[Path, str]:
        """What is remembered of those files that still have their stamps."""
        by_name = {_name(path): path for path in stamps}
        names, found = list(by_name), {}
        for start in range(0, len(names), PER_QUERY):
            for name, size, modified, text in self._rows(kind, names[start : start + PER_QUERY]):
                path = by_name[name]
                if stamps[path] == (size, modified):
                    found[path] = text
        return found

    def keep(self, kind: str, seen: Iterable[tuple[Path, Stamp, str]]) -> None:
        """Remember a text for each file, in one short transaction."""
        rows = [
            (kind, _name(path), size, modified, self.version, text) for path, (size, modified), text in seen
        ]
        if self._connection is None or not rows:
            return
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError:
            pass  # locked for long, full or read-only: the next scan looks again
        except sqlite3.DatabaseError:
            self._begin_anew()

    def _rows(self, kind: str, names: Sequence[bytes]) -> list[tuple[bytes, int, int, str]]:
        if self._connection is None:
            return []
        marks = ",".join("?" * len(names))
        query = "SELECT name, size, modified, text FROM seen WHERE kind = ? AND version = ? AND name IN "
        try:
            return self._connection.execute(f"{query}({marks})", (kind, self.version, *names)).fetchall()
        except sqlite3.OperationalError:
            return []
        except sqlite3.DatabaseError:
            self._begin_anew()
            return []

    def _connect(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, timeout=PATIENCE)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS seen (kind TEXT, name BLOB, size INTEGER, modified INTEGER, "
                "version TEXT, text TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )

    def _begin_anew(self) -> None:
        self._close()
        if self.file is None:
            return
        try:
            os.replace(self.file, self.file.with_name(f"{self.file.name}.damaged"))
            self._connect(self.file)
        except (OSError, sqlite3.Error):
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _name(path: Path) -> bytes:
    """The absolute path as the file system knows it; names need not be valid Unicode."""
    return os.fsencode(os.path.abspath(path))
