"""Shards on the disk: whole or not there, never more than the limit, shared by processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from http_host import http_host

from visionkit.errors import DataError, VisionkitError
from visionkit.shards import cache as caching
from visionkit.shards import trying
from visionkit.shards.addresses import Shard, shards_at
from visionkit.shards.cache import ShardCache
from visionkit.shards.contents import digest_of

Put = Callable[[str, bytes], str]


def taken(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0


def content_of(cache: ShardCache, shard: Shard) -> bytes:
    with cache.open(shard) as file:
        return file.read()


def ten(put: Put, size: int = 1000) -> list[Shard]:
    return shards_at([put(f"{number}.tar", bytes([number]) * size) for number in range(10)])


def test_fetched_once_and_read_again(tmp_path: Path, put: Put, fetches: list[str]) -> None:
    cache, shards = ShardCache(tmp_path / "c", 10_000), ten(put)
    for _ in range(3):
        assert [content_of(cache, shard) for shard in shards] == [bytes([n]) * 1000 for n in range(10)]
    assert len(fetches) == 10


def test_the_least_recently_used_goes_and_the_limit_holds(
    tmp_path: Path, put: Put, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, shards = ShardCache(tmp_path / "c", 3_999), ten(put)
    most: list[int] = []
    fetch = caching._fetch

    def watched(shard: Shard, part: Path) -> str:
        fault = fetch(shard, part)
        most.append(taken(tmp_path / "c"))
        return fault

    monkeypatch.setattr(caching, "_fetch", watched)
    for shard in shards[:3]:
        content_of(cache, shard)
        time.sleep(0.01)
    content_of(cache, shards[0])
    time.sleep(0.01)
    content_of(cache, shards[3])
    assert {number for number in range(10) if cache.place(shards[number]).exists()} == {0, 2, 3}
    for shard in shards:
        content_of(cache, shard)
    assert max(most) <= 3_999 and cache.held() <= 3_999


def test_a_shard_that_goes_while_it_is_read_is_read_to_its_end(tmp_path: Path, put: Put) -> None:
    cache, shards = ShardCache(tmp_path / "c", 1_000), ten(put)
    with cache.open(shards[1]) as first:
        assert content_of(cache, shards[2]) == b"\2" * 1000
        assert not cache.place(shards[1]).exists()
        assert first.read() == b"\1" * 1000
    assert content_of(cache, shards[1]) == b"\1" * 1000


def test_a_shard_larger_than_the_limit_is_refused(tmp_path: Path, put: Put) -> None:
    with pytest.raises(VisionkitError, match=r"no room for it.*shards_gb"):
        ShardCache(tmp_path / "c", 999).open(ten(put)[0])
    assert taken(tmp_path / "c") == 0


def test_a_full_disk_makes_room_first(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, shards = ShardCache(tmp_path / "c", 10**9), ten(put)
    free = caching.SPARED + 2_500

    def usage(folder: Path) -> object:
        return type("Usage", (), {"free": free - taken(folder)})

    monkeypatch.setattr(caching.shutil, "disk_usage", usage)
    for shard in shards:
        content_of(cache, shard)
        assert taken(tmp_path / "c") <= 2_500
    free = caching.SPARED + 500
    with pytest.raises(VisionkitError, match="to spare"):
        cache.open(shards[0])


def test_what_is_cut_off_on_the_disk_is_fetched_again(tmp_path: Path, put: Put, fetches: list[str]) -> None:
    cache, shard = ShardCache(tmp_path / "c", 10_000), ten(put)[1]
    content_of(cache, shard)
    os.truncate(cache.place(shard), 500)
    assert content_of(cache, shard) == b"\1" * 1000
    assert len(fetches) == 2


def test_what_a_killed_process_left_goes(tmp_path: Path, put: Put) -> None:
    cache, shards = ShardCache(tmp_path / "c", 1_500), ten(put)
    (tmp_path / "c").mkdir()
    for shard in shards[:2]:
        (tmp_path / "c" / f".{shard.key}.1000.part").write_bytes(b"x" * 600)
    assert content_of(cache, shards[0]) == b"\0" * 1000
    assert cache.held() == 1000


def test_changed_content_is_refused(tmp_path: Path, put: Put) -> None:
    address = put("a.tar", b"b" * 100)
    shard = Shard(address, "a.tar", 100, "", digest_of(io.BytesIO(b"a" * 100)))
    with pytest.raises(DataError, match="not what it was"):
        ShardCache(tmp_path / "c", 1000).open(shard)
    for size, message in ((60, "longer"), (140, "100 of 140 bytes")):
        with pytest.raises(VisionkitError, match=message):
            ShardCache(tmp_path / "c", 1000).open(Shard(address, "a.tar", size))
    assert taken(tmp_path / "c") == 0


def test_threads_fetch_a_shard_once(tmp_path: Path, put: Put, fetches: list[str]) -> None:
    cache, shard = ShardCache(tmp_path / "c", 10_000), ten(put)[0]
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(content_of(cache, shard))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"\0" * 1000] * 8 and len(fetches) == 1


READER = """
import random, sys
from pathlib import Path
from visionkit.shards.addresses import Shard
from visionkit.shards.cache import ShardCache
folder, limit, url, seed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
cache, rng = ShardCache(folder, limit), random.Random(seed)
for _ in range(60):
    number = rng.randrange(8)
    with cache.open(Shard(f"{url}/{number}.tar", f"{number}.tar", 5000)) as file:
        assert file.read() == bytes([number]) * 5000
"""


def test_two_processes_hold_the_limit_together(tmp_path: Path) -> None:
    folder, limit = tmp_path / "c", 16_000
    with http_host() as host:
        for number in range(8):
            host.serve(f"/{number}.tar", bytes([number]) * 5000)
        command = [sys.executable, "-c", READER, str(folder), str(limit), host.url]
        readers = [subprocess.Popen([*command, str(seed)]) for seed in range(2)]
        most = 0
        while any(reader.poll() is None for reader in readers):
            most = max(most, _taken_now(folder))
            time.sleep(0.002)
        assert [reader.returncode for reader in readers] == [0, 0]
    assert 0 < most <= limit


def _taken_now(folder: Path) -> int:
    found = 0
    if folder.is_dir():
        with FileLock(folder / ".room.lock"):  # else one is seen twice, as it goes and comes again
            for file in list(folder.iterdir()):
                with suppress(OSError):
                    found += file.stat().st_size
    return found


def test_from_the_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "WAIT", 0.0)
    content = os.urandom(200_000)
    with http_host() as host:
        address = host.serve("/a.tar", content)
        shard = shards_at([address])[0]
        assert shard.size == len(content) and shard.tag
        host.files["/a.tar"].cuts = [100_000]
        host.files["/a.tar"].failures = [(503, {})]
        assert content_of(ShardCache(tmp_path / "c", 10**6), shard) == content
        host.files["/a.tar"].cuts = [1000] * 20
        with pytest.raises(VisionkitError, match="cannot be fetched"):
            ShardCache(tmp_path / "d", 10**6).open(shard)
        assert taken(tmp_path / "d") == 0
        host.files["/a.tar"].failures = [(404, {})] * 20
        with pytest.raises(VisionkitError):
            ShardCache(tmp_path / "e", 10**6).open(shard)
    with pytest.raises(VisionkitError, match="cannot be reached"):
        shards_at([address])


def test_local_shards_are_read_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"abc")
    shard = shards_at([str(tmp_path / "a.tar")])[0]
    cache = ShardCache(tmp_path / "c", 0)
    assert content_of(cache, shard) == b"abc" and not (tmp_path / "c").exists()
    (tmp_path / "a.tar").write_bytes(b"abcd")
    with pytest.raises(DataError, match="not what it was"):
        cache.open(shard)
    (tmp_path / "a.tar").unlink()
    with pytest.raises(DataError, match="any more"):
        cache.open(shard)


def test_a_local_shard_that_changes_in_place(tmp_path: Path) -> None:
    """By its time it is noticed, also where its size stays; being touched changes nothing."""
    file, cache = tmp_path / "a.tar", ShardCache(tmp_path / "c", 0)
    file.write_bytes(b"abc")
    shard = replace(shards_at([str(file)])[0], digest=digest_of(io.BytesIO(b"abc")))
    os.utime(file, ns=(1, 1))
    assert content_of(cache, shard) == content_of(cache, shard) == b"abc"
    file.write_bytes(b"abd")
    with pytest.raises(DataError, match="not what it was"):
        cache.open(shard)


def test_a_fork_waits_for_the_fetches_of_other_threads(tmp_path: Path, put: Put) -> None:
    """Else the child would hold their lock."""
    cache, shard = ShardCache(tmp_path / "c", 10_000), ten(put)[0]
    begun, go_on = threading.Event(), threading.Event()

    def fetch(shard: Shard, part: Path) -> str:
        begun.set()
        go_on.wait(10)
        part.write_bytes(b"\0" * shard.size)
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caching, "_fetch", fetch)
        thread = threading.Thread(target=lambda: cache.open(shard).close())
        thread.start()
        begun.wait(10)
        threading.Timer(0.2, go_on.set).start()
        child = os.fork()
        if child == 0:
            os._exit(0 if go_on.is_set() and cache.place(shard).exists() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        thread.join()
