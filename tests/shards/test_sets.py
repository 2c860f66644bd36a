"""From addresses to images that look like files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from http_host import http_host
from shards.making import jpeg, labelled, shards_in, tar_of

from visionkit.checks.facts import look
from visionkit.checks.memory import stamp
from visionkit.data.opening import opened
from visionkit.errors import DataError
from visionkit.shards import index
from visionkit.shards.reading import ShardImage, opened_set
from visionkit.shards.source import OWN_INDEX, ShardSource, shard_set
from visionkit.sources.base import Store
from visionkit.sources.catalogue import fetched

Put = Callable[[str, bytes], str]


def three(put: Put) -> ShardSource:
    for number in range(3):
        put(f"s-{number}.tar", tar_of(labelled(4 * number, 4)))
    return ShardSource("memory://bucket/s-{0..2}.tar")


def test_images_look_like_files(put: Put, store: Store) -> None:
    folder = fetched(three(put), store)
    paths, labels = shard_set(folder).images
    assert len(paths) == 12 and labels[5] == ["odd"]
    image = paths[5]
    assert isinstance(image, ShardImage) and image == folder / "s-1.tar" / "0005.jpg"
    assert image.relative_to(folder).as_posix() == "s-1.tar/0005.jpg"
    assert image.exists() and image.is_file() and image.read_bytes() == jpeg(5)
    assert image.stat().st_size == len(jpeg(5)) and stamp(image) == stamp(paths[5]) != stamp(paths[6])
    with opened(image) as picture:
        assert picture.size == (24, 24)
    assert look(image).fault is None and look(image).bytes == len(jpeg(5))
    again = pickle.loads(pickle.dumps(image))
    assert again == image and again.read_bytes() == jpeg(5) and again.found is image.found
    assert not image.parent.is_file() and image.suffix == ".jpg"


def test_the_index_is_made_once(put: Put, store: Store, fetches: list[str]) -> None:
    source = three(put)
    folder = fetched(source, store)
    assert fetches == ["s-0.tar", "s-1.tar", "s-2.tar"]
    assert fetched(source, store) == folder and len(fetches) == 3
    put("s-1.tar", tar_of(labelled(20, 5)))
    fetched(source, store)
    assert fetches[3:] == ["s-1.tar"]
    assert len(shard_set(folder)) == 13


def test_an_interrupted_index_goes_on(
    put: Put, store: Store, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = three(put)
    bad = put("s-2.tar", b"no tar file")
    with pytest.raises(DataError, match=bad):
        fetched(source, store)
    assert not source.is_there(store.root)
    put("s-2.tar", tar_of(labelled(0, 1)))
    assert len(shard_set(fetched(source, store))) == 9
    assert fetches.count("s-0.tar") == 1


def test_a_kill_while_the_index_is_written_leaves_the_one_before(
    put: Put, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = three(put)
    folder = fetched(source, store)
    put("s-0.tar", tar_of(labelled(20, 5)))
    with monkeypatch.context() as patch:
        patch.setattr(index.json, "dumps", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            fetched(source, store)
    opened_set.cache_clear()
    found = shard_set(folder)
    assert len(found) == len(found.images[0]) == 12
    assert found.images[0][11].read_bytes() == jpeg(11)
    assert len(shard_set(fetched(source, store))) == 13
    assert len(list(folder.glob("rows*.npy"))) == 1


def test_whoever_has_an_index_open_goes_on_with_it(put: Put, store: Store) -> None:
    source = three(put)
    before = shard_set(fetched(source, store))
    image = pickle.dumps(before.images[0][4])
    put("s-0.tar", tar_of(labelled(20, 5)))
    after = shard_set(fetched(source, store))
    assert before.images[0][4].read_bytes() == jpeg(4) == after.images[0][5].read_bytes()
    with pytest.raises(DataError, match="was indexed anew"):
        pickle.loads(image)


def test_an_index_beside_a_shard_is_believed_if_it_fits(
    tmp_path: Path, put: Put, store: Store, fetches: list[str]
) -> None:
    for file in shards_in(tmp_path, 2, 3):
        put(file.name, file.read_bytes())
        put(file.name + index.BESIDE, Path(f"{file}.index").read_bytes())
    source = ShardSource("memory://bucket/train-*.tar")
    found = shard_set(fetched(source, store))
    assert len(found) == 6 and not fetches
    assert found.images[0][4].read_bytes() == jpeg(4)
    put("train-000001.tar", b"x" * 500)
    with pytest.raises(DataError, match="not a whole"):
        fetched(source, store)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000])
def test_a_damaged_index_beside_a_shard_is_left_alone(
    content: bytes, put: Put, store: Store, fetches: list[str]
) -> None:
    put("a.tar", tar_of(labelled(0, 2)))
    put("a.tar.index", content)
    assert len(shard_set(fetched(ShardSource("memory://bucket/a.tar"), store))) == 2 and fetches


def test_damage_of_the_kept_index_is_one_message(put: Put, store: Store) -> None:
    folder = fetched(three(put), store)
    opened_set.cache_clear()
    (folder / index.LIST).write_text('{"shards": 5}')
    with pytest.raises(DataError, match="damaged"):
        shard_set(folder)
    assert len(shard_set(fetched(three(put), store))) == 12


def test_labels_and_tags_do_not_mix(put: Put, store: Store) -> None:
    put("a.tar", tar_of(labelled(0, 2)))
    put("b.tar", tar_of({"x.jpg": jpeg(0), "x.json": b'{"tags": []}'}))
    with pytest.raises(DataError, match="tags"):
        fetched(ShardSource("memory://bucket/{a,b}.tar"), store)


def test_a_folder_of_shards(tmp_path: Path) -> None:
    shards_in(tmp_path, 2, 3)
    found = shard_set(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found.images[0]][:2] == [
        "train-000000.tar/0000.jpg",
        "train-000000.tar/0001.jpg",
    ]
    assert found is shard_set(tmp_path)
    with pytest.raises(DataError, match="no shards"):
        shard_set(tmp_path / "none")


def test_a_shard_that_vanishes_from_the_store(put: Put, store: Store) -> None:
    small = replace(store, shard_bytes=30_000)
    for number in range(3):
        put(f"s-{number}.tar", tar_of(labelled(4 * number, 4)) + bytes(5000))
    found = shard_set(fetched(ShardSource("memory://bucket/s-{0..2}.tar"), small))
    MemoryFileSystem().rm("/bucket/s-0.tar")
    with pytest.raises(DataError, match=r"s-0\.tar: there is no such file"):
        found.images[0][0].read_bytes()


@pytest.mark.parametrize("same_size", [True, False])
def test_an_index_that_another_shard_left_is_not_believed(
    same_size: bool, tmp_path: Path, store: Store
) -> None:
    """Else images would get the labels of those that lay there before."""
    file = shards_in(tmp_path, 1, 4)[0]
    before, files = file.read_bytes(), labelled(0, 4)
    files["0000.cls"], files["0001.cls"] = b"odd ", b"even"
    files = {name: content[::-1] if name.endswith("jpg") else content for name, content in files.items()}
    now = tar_of(files)
    file.write_bytes(now if same_size else now + bytes(10_240))
    assert (len(now) == len(before)) and Path(f"{file}.index").is_file()
    assert shard_set(tmp_path, store).images[1][:2] == [["odd"], ["even"]]


def relabelled(first: int, count: int) -> dict[str, bytes]:
    """As `labelled`, of the same sizes, with every label and every image another."""
    files = labelled(first, count)
    other = {b"odd": b"ODD", b"even": b"EVEN"}
    return {name: other.get(content, content[:-2] + b"xx") for name, content in files.items()}


@pytest.mark.parametrize("header", ["Last-Modified", "Content-MD5", "Digest"])
def test_servers_without_etags_tell_of_changes_otherwise(header: str, store: Store) -> None:
    with http_host() as host:
        for content, mark in ((labelled(0, 2), "one"), (relabelled(0, 2), "two")):
            host.serve("/a.tar", tar_of(content), etag="", headers={header: mark})
            found = shard_set(fetched(ShardSource(f"shards:{host.url}/a.tar"), store))
            assert found.images[0][1].read_bytes() == content["0001.jpg"]
            assert found.images[1][1] == [content["0001.cls"].decode()]


@pytest.mark.parametrize("beside", [True, False])
def test_a_change_that_no_server_tells_of(beside: bool, tmp_path: Path, store: Store) -> None:
    """It is noticed once the shard is fetched again, and to start anew helps."""
    small = replace(store, shard_bytes=20_000)
    with http_host() as host:
        source = ShardSource(host.url + "/train-00000{0..1}.tar")
        for file in shards_in(tmp_path, 2, 3):
            host.serve(f"/{file.name}", file.read_bytes(), etag="")
            if beside:
                host.serve(f"/{file.name}.index", Path(f"{file}.index").read_bytes(), etag="")
        folder = fetched(source, small)
        images = shard_set(folder).images[0]
        host.serve("/train-000000.tar", tar_of(relabelled(0, 3)), etag="")
        images[3].read_bytes()  # there is room for one shard
        with pytest.raises(DataError, match=r"000000\.tar: its content is not what it was.*Start anew"):
            images[0].read_bytes()
        opened_set.cache_clear()
        with pytest.raises(DataError, match="a shard of it has changed"):
            shard_set(folder)
        found = shard_set(fetched(source, small))
        assert found.images[1] == [["EVEN"], ["ODD"], ["EVEN"], ["odd"], ["even"], ["odd"]]
        assert found.images[0][0].read_bytes() == relabelled(0, 1)["0000.jpg"]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_folder_that_cannot_be_written(read_only: bool, tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    shards_in(folder, 1, 3)
    if read_only:
        folder.chmod(0o555)
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
    else:
        (folder / OWN_INDEX).write_text("in the way")
    found = shard_set(folder, store)
    assert found.folder.parent == store.root / "shards"
    image = found.images[0][1]
    assert image == folder / "train-000000.tar" / "0001.jpg" and image.read_bytes() == jpeg(1)
    assert shard_set(folder, store) is found
    folder.chmod(0o755)
