"""Fsspec's file system in memory, empty; and a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from visionkit.progress import Silence
from visionkit.shards import trying
from visionkit.sources.base import Store

Put = Callable[[str, bytes], str]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Puts a file into memory://bucket; its address. Failing fetches are tried again at once."""
    monkeypatch.setattr(trying, "WAIT", 0.0)
    memory = MemoryFileSystem()
    memory.store.clear()

    def put(name: str, content: bytes) -> str:
        memory.pipe_file(f"/bucket/{name}", content)
        return f"memory://bucket/{name}"

    yield put
    memory.store.clear()


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were fetched from memory, in order."""
    asked: list[str] = []
    fetch = MemoryFileSystem.get_file

    def counted(self: MemoryFileSystem, rpath: str, *args: object, **options: object) -> object:
        asked.append(rpath.rpartition("/")[2])
        return fetch(self, rpath, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counted)
    return asked


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Silence())
