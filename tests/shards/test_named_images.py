"""Images for predictions, named by addresses of stores and in shards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FAST
from http_host import http_host
from inference.stored import stored_bundle
from shards.making import jpeg, labelled, shards_in, tar_of
from typer.testing import Result

from visionkit.errors import DataError
from visionkit.inference.image_sources import Unusable, fetch_image, find_images
from visionkit.inference.own_tars import OwnTars
from visionkit.progress import Silence
from visionkit.shards.named_images import Tar, Tars, looked_at
from visionkit.sources import base
from visionkit.sources.base import Store

Put = Callable[[str, bytes], str]
Cli = Callable[..., Result]


def test_patterns_and_files_of_a_store(tmp_path: Path, put: Put) -> None:
    for number in range(3):
        put(f"deep/{number}.jpg", jpeg(number))
    put("deep/notes.txt", b"")
    found = list(find_images(["memory://bucket/**/*", "memory://bucket/deep/1.jpg"]))
    assert [str(name).rpartition("bucket/")[2] for name in found] == [
        f"deep/{number}.jpg" for number in (0, 1, 2, 1)
    ]
    assert [fetch_image(str(name), tmp_path).read_bytes() for name in found] == [
        jpeg(number) for number in (0, 1, 2, 1)
    ]
    with pytest.raises(DataError, match="no such file"):
        fetch_image("memory://bucket/none.jpg", tmp_path)


def test_images_in_shards(tmp_path: Path, put: Put) -> None:
    shards_in(tmp_path, 2, 2)
    put("a.tar", tar_of(labelled(0, 2)))
    (tmp_path / "new").mkdir()
    for name in (f"{tmp_path}/train-00000{{0,1}}.tar", f"{tmp_path}/*.tar", "memory://bucket/a.tar"):
        found = [str(each) for each in find_images([name])]
        assert len(found) == (2 if "memory" in name else 4)
        assert all(".tar/000" in each for each in found)
        assert fetch_image(found[1], tmp_path / "new").read_bytes() == jpeg(1)
    with pytest.raises(DataError, match="no such image in the shard"):
        fetch_image("memory://bucket/a.tar/none.jpg", tmp_path)


def test_what_cannot_be_read_stays_in_its_place(tmp_path: Path, put: Put) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no tar")
    names = [f"{tmp_path}/bad.tar", f"{tmp_path}/none.tar", "memory://bucket/x*.jpg"]
    found = list(find_images(names))
    assert all(isinstance(each, Unusable) for each in found) and len(found) == 3
    assert "not a whole" in found[0].reason and "cannot be read" in found[1].reason  # type: ignore[union-attr]


def test_fetched_shards_are_kept_as_the_settings_say(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "DEFAULT_STORE", tmp_path / "default")
    model = stored_bundle(tmp_path / "model", "single-label")
    content = tar_of({f"{number}.jpg": jpeg(number) for number in range(3)})
    Path("settings.ini").write_text("[paths]\ndata = own\n")
    Path("small.ini").write_text("[paths]\ndata = small\n[cache]\nshards_gb = 0.000001\n")
    with http_host() as host:
        host.serve("/a.tar", content)
        address = f"{host.url}/a.tar"
        Path("one.csv").write_text(f"path\n{address}/1.jpg\n")
        for call in ([address], ["one.csv", "--column", "path"]):
            done = cli("predict", model, *call, "--device", "cpu")
            assert done.exit_code == 0, done.output
            assert len(list(Path("own/shards/fetched").glob("*.tar"))) == 1
        small = cli("predict", model, address, "--device", "cpu", "--settings", "small.ini")
        assert small.exit_code == 1 and "shards may take" in small.stderr, small.output
    assert not (tmp_path / "default").exists() and not list(Path("small/shards/fetched").glob("*.tar"))


def test_signed_addresses_of_shards(cli: Cli, tmp_path: Path) -> None:
    model = stored_bundle(tmp_path / "model", "single-label")
    Path("settings.ini").write_text("[paths]\ndata = own\n")
    call = ["predict", model, "--device", "cpu"]
    with http_host() as host:
        for number in range(4):
            host.serve(f"/{number}.tar", tar_of({"0.jpg": jpeg(2 * number), "1.jpg": jpeg(2 * number + 1)}))
        signed = [f"{host.url}/{number}.tar?sig=a/b.%2B&n=1" for number in range(4)]
        done = cli(*call, signed[0], "--json")
        names = [row["image"] for row in json.loads(done.stdout)]
        assert names == [f"{host.url}/0.tar/{number}.jpg" for number in range(2)]
        assert cli(*call, *signed, "--out", "a.parquet", "--shard", "1/1").exit_code == 0
        Path("a.parquet/_shard-00001-of-00001.manifest.json").unlink()
        later = [address.replace("sig=a", "sig=c") for address in signed]
        again = cli(*call, *later, "--out", "a.parquet", "--shard", "1/1")
        assert again.exit_code == 0 and "nothing to do: 8 images are there" in again.stderr, again.output
        other = cli(*call, *signed, later[0], "--out", "b.parquet", "--shard", "1/1")
        assert other.exit_code == 2 and "two tar files are called so" in other.stderr, other.output


def test_folders_called_like_shards(cli: Cli, tmp_path: Path) -> None:
    model = stored_bundle(tmp_path / "model", "single-label")
    folder = tmp_path / "pl" / "x.tar"
    folder.mkdir(parents=True)
    (folder / "real.tar").write_bytes(tar_of({"deep.tar/a b.jpg": jpeg(0), "1.jpg": jpeg(1)}))
    done = cli("predict", model, folder / "real.tar", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    names = [row["image"] for row in json.loads(done.stdout)]
    assert [name.rpartition("x.tar/")[2] for name in names] == ["real.tar/deep.tar/a b.jpg", "real.tar/1.jpg"]
    Path("names.csv").write_text("path\n" + "".join(f"{name}\n" for name in names))
    again = cli("predict", model, "names.csv", "--column", "path", "--device", "cpu", "--json")
    assert again.exit_code == 0 and [row["image"] for row in json.loads(again.stdout)] == names


@pytest.mark.parametrize(("room", "ahead"), [(1, 1), (3.9, 1), (4, 2)])
def test_the_next_tar_file_is_fetched_ahead_where_there_is_room(
    tmp_path: Path, put: Put, fetches: list[str], room: float, ahead: int
) -> None:
    content = tar_of({"0.jpg": jpeg(0), "1.jpg": jpeg(1)})
    addresses = [put(f"{number}.tar", content) for number in range(3)]
    tars = Tars(lambda: Store(tmp_path / "store", Silence(), shard_bytes=int(room * len(content))))
    named = [each for address in addresses for each in tars.named(address) if isinstance(each, Tar)]
    own = OwnTars(looked_at(named), tmp_path / "memory")
    for number, inputs in enumerate(own.missing(tmp_path)):
        wanted = min(3, number + ahead)
        until = time.monotonic() + 10
        while len(fetches) < wanted and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.05)
        assert fetches == [f"{each}.tar" for each in range(wanted)]
        (tmp_path / f"{number}").mkdir()
        images = [each.image for each in inputs if isinstance(each.image, str)]
        found = [fetch_image(image, tmp_path / f"{number}") for image in images]
        assert [file.read_bytes() for file in found] == [jpeg(0), jpeg(1)]
    assert fetches == ["0.tar", "1.tar", "2.tar"]


@pytest.mark.slow
def test_predictions_of_shards(cli: Cli, pets: Path, tmp_path: Path) -> None:
    assert cli("pets", "--data", pets, *FAST, "--size", 32, "--out", "run").exit_code == 0
    (tmp_path / "served").mkdir()
    files = shards_in(tmp_path / "served", 2, 3)
    with http_host() as host:
        host.serve("/a.tar", files[1].read_bytes())
        done = cli("predict", "run", files[0], host.url + "/a.tar", "--out", "answers.jsonl")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    names = [Path(row["image"]).name for row in rows]
    assert names == [f"{number:04d}.jpg" for number in range(6)]
