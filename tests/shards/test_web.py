"""Shards on web servers that are slow, busy, or stop in the midst."""

from __future__ import annotations

import os
import time
from pathlib import Path

import aiohttp
import pytest
from fsspec.implementations.http import HTTPFileSystem
from http_host import Host, http_host
from shards.making import shards_in

from visionkit.errors import DataError, VisionkitError
from visionkit.shards import addresses, trying
from visionkit.shards.addresses import shards_at
from visionkit.shards.cache import ShardCache
from visionkit.shards.source import ShardSource, shard_set
from visionkit.sources.base import Store
from visionkit.sources.catalogue import fetched


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "WAIT", 0.0)
    HTTPFileSystem.clear_instance_cache()


def serve_shards(host: Host, folder: Path, count: int, query: str = "") -> ShardSource:
    for file in shards_in(folder, count, 2):
        host.serve(f"/{file.name}", file.read_bytes())
        host.serve(f"/{file.name}.index", Path(f"{file}.index").read_bytes())
    return ShardSource(f"{host.url}/train-00000{{0..{count - 1}}}.tar{query}")


def test_a_fetch_may_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aiohttp's own limit for a whole fetch is five minutes, a second here."""
    monkeypatch.setattr(aiohttp.client, "DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=1))
    with http_host() as host:
        content = os.urandom(5000)
        shard = shards_at([host.serve("/a.tar", content)])[0]
        host.files["/a.tar"].trickle = 0.4
        with ShardCache(tmp_path, 10_000).open(shard) as file:
            assert file.read() == content


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "SILENCE", 0.3)
    with http_host() as host:
        shard = shards_at([host.serve("/a.tar", bytes(5000))])[0]
        host.files["/a.tar"].trickle = 3.0
        began = time.monotonic()
        with pytest.raises(VisionkitError, match="cannot be fetched"):
            ShardCache(tmp_path, 10_000).open(shard)
        assert time.monotonic() - began < 15


def test_busy_servers_are_asked_again(tmp_path: Path, store: Store) -> None:
    with http_host() as host:
        source = serve_shards(host, tmp_path, 3)
        for file in host.files.values():
            file.failures = [(503, {}), (429, {})]
        assert len(shard_set(fetched(source, store))) == 6
        assert not (store.root / "shards" / "fetched").exists()  # the indices were, not the shards
        host.files["/train-000001.tar"].failures = [(503, {})] * 4
        with pytest.raises(VisionkitError, match=r"000001\.tar: cannot be reached \(503"):
            fetched(source, store)


@pytest.mark.parametrize("status", [404, 410])
def test_a_shard_that_is_not_on_the_server(status: int) -> None:
    with http_host() as host:
        address = host.serve("/a.tar", b"", failures=[(status, {})])
        with pytest.raises(DataError, match=r"a\.tar: there is no such file"):
            shards_at([address])
        assert len(host.asked) == 1


def test_an_index_beside_an_address_with_a_query(tmp_path: Path, store: Store) -> None:
    with http_host() as host:
        source = serve_shards(host, tmp_path, 1, "?key=1")
        host.files["/train-000000.tar.index"].trickle = 0.05  # it comes in pieces
        assert len(shard_set(fetched(source, store))) == 2
        assert "/train-000000.tar.index?key=1" in host.paths
        assert not (store.root / "shards" / "fetched").exists()
