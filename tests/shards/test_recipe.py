"""The recipe: what it finds, who validates, in which order it reads, and trainings by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST
from http_host import http_host
from hypothesis import given, settings
from hypothesis import strategies as st
from shards.making import jpeg, labelled, shards_in, tar_of
from typer.testing import Result
from visionkit.recipes.shards import recipe

from visionkit.data.dataset import Dataset
from visionkit.errors import DataError, UsageError
from visionkit.shards.cache import ShardCache
from visionkit.sources import locate
from visionkit.sources.base import Store
from visionkit.training.record import contents_fingerprint

Put = Callable[[str, bytes], str]
Cli = Callable[..., Result]


def dataset_of(data: str, store: Store, **options: object) -> Dataset:
    resolved = recipe.resolved(**{"size": 16, "bs": 4, "workers": 0, "device": "cpu", **options})
    place = locate(recipe, data, False, 42, store)
    return Dataset.open(recipe, resolved, place.folder, store)


def remote(put: Put, shards: int = 6, images: int = 4, name: str = "s") -> str:
    for number in range(shards):
        put(f"{name}-{number}.tar", tar_of(labelled(images * number, images)))
    return f"memory://bucket/{name}-{{0..{shards - 1}}}.tar"


def shards_of(dataset: Dataset, part: list[int]) -> set[str]:
    return {dataset.images[index].parent.name for index in part}


def test_whole_shards_validate(put: Put, store: Store) -> None:
    dataset = dataset_of(remote(put), store)
    assert len(dataset.images) == 24 and dataset.recipe.task == "single-label"
    assert len(shards_of(dataset, dataset.valid)) == 1 and len(dataset.valid) == 4
    assert not shards_of(dataset, dataset.train) & shards_of(dataset, dataset.valid)
    assert "24 images in 6 shards" in dataset.remark() and "1 of them validate" in dataset.remark()


def test_shards_that_are_called_so_validate(put: Put, store: Store) -> None:
    remote(put, 2, name="train")
    remote(put, 1, name="val")
    data = "memory://bucket/{train-{0..1},val-0}.tar"
    found = dataset_of(data, store)
    assert shards_of(found, found.valid) == {"val-0.tar"}
    picked = dataset_of(data, store, valid_shards="train-1*")
    assert shards_of(picked, picked.valid) == {"train-1.tar"}
    for pattern, fits in (("none-*", "none"), ("*", "all")):
        with pytest.raises(UsageError, match=f"fits {fits} of the shards"):
            dataset_of(data, store, valid_shards=pattern)


@pytest.mark.parametrize("local", [True, False])
def test_the_fingerprint_of_the_contents_is_of_the_bytes(
    local: bool, tmp_path: Path, put: Put, store: Store
) -> None:
    (tmp_path / "d").mkdir()

    def told(files: dict[str, bytes]) -> str:
        for number in range(2):
            content = tar_of({f"{number}{name}": content for name, content in files.items()})
            (tmp_path / "d" / f"s-{number}.tar").write_bytes(content)
            put(f"s-{number}.tar", content)
        data = str(tmp_path / "d") if local else "memory://bucket/s-{0..1}.tar"
        return contents_fingerprint(dataset_of(data, store), store.memory)

    files = labelled(0, 3)
    first = told(files)
    other = {
        name: content[:-2] + b"xx" if name.endswith("jpg") else content for name, content in files.items()
    }
    assert told(files) == first != told(other)


@pytest.mark.parametrize(
    ("names", "valid", "train"),
    [
        ("train-0 train-1 val000 test-0", "val000", "train-0 train-1"),
        ("train-0 testing_0 test-0", "testing_0 test-0", "train-0"),
        ("a/0 val2017/0 test2017/0", "val2017/0", "a/0"),
        ("value-0 tester-0 valid.0", "valid.0", "value-0 tester-0"),
        ("test-0 test-1 test-2", None, None),
        ("0 1 2", None, None),
    ],
)
def test_what_names_of_shards_say(
    names: str, valid: str | None, train: str | None, put: Put, store: Store
) -> None:
    for number, name in enumerate(names.split()):
        put(f"{name}.tar", tar_of(labelled(2 * number, 2)))
    dataset = dataset_of(f"memory://bucket/{{{names.replace(' ', ',')}}}.tar", store)
    found = [
        {f"{image.parent.relative_to(dataset.path).as_posix()}"[:-4] for image in images}
        for images in ([dataset.images[index] for index in part] for part in (dataset.valid, dataset.train))
    ]
    if valid is None:
        assert len(found[0]) == 1 and len(found[1]) == 2 and "left out" not in dataset.remark()
        return
    assert train is not None and found == [set(valid.split()), set(train.split())]
    assert all(f"{name}.tar" in dataset.remark() for name in valid.split())
    left = set(names.split()) - found[0] - found[1]
    assert all(f"1 called test left out ({name}.tar)" in dataset.remark() for name in left)


def test_a_pattern_for_validation_and_shards_called_test(put: Put, store: Store) -> None:
    data = remote(put, 2, name="train").replace("train-{0..1}", "{train-0,train-1,test-0}")
    remote(put, 1, name="test")
    for pattern, trains in (("train-1*", {"train-0.tar"}), ("test-*", {"train-0.tar", "train-1.tar"})):
        dataset = dataset_of(data, store, valid_shards=pattern)
        assert shards_of(dataset, dataset.train) == trains
    with pytest.raises(UsageError, match="fits all but those called test"):
        dataset_of(data, store, valid_shards="train-*")
    remote(put, 1, name="val")
    with pytest.raises(UsageError, match="all shards are called valid or test"):
        dataset_of("memory://bucket/{val,test}-0.tar", store)


def test_one_shard_is_divided_by_images(put: Put, store: Store) -> None:
    dataset = dataset_of(remote(put, 1, 20), store)
    assert (len(dataset.train), len(dataset.valid)) == (16, 4)


def test_other_splits_and_skips_work_too(tmp_path: Path, put: Put, store: Store) -> None:
    data = remote(put, 3)
    dataset = dataset_of(data, store, split="stratified", valid_pct=0.5)
    assert len(dataset.valid) == 6
    listed = tmp_path / "skip.txt"
    listed.write_text("s-0.tar/0001.jpg\ns-2.tar/0010.jpg\n")
    left = dataset_of(data, store, skip=listed)
    assert len(left.images) == 10 and left.dataloaders(16).train.one_batch()[0].shape[-1] == 16
    assert left.fingerprint() != dataset.fingerprint() == dataset_of(data, store).fingerprint()


def test_tags(put: Put, store: Store) -> None:
    for number in range(2):
        tags = [["a"], ["a", "b"], [], ["c"]]
        files = {}
        for place, each in enumerate(tags):
            files[f"{place}.jpg"] = jpeg(place)
            files[f"{place}.json"] = json.dumps({"tags": each}).encode()
        put(f"t-{number}.tar", tar_of(files))
    dataset = dataset_of("memory://bucket/t-{0..1}.tar", store)
    assert dataset.recipe.task == "multi-label" and dataset.targets[1] == ["a", "b"]
    assert dataset.dataloaders(16).train.one_batch()[1].shape == (4, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_fetches_each_shard_once(workers: int, tmp_path: Path, store: Store) -> None:
    (tmp_path / "served").mkdir()
    with http_host() as host:
        for file in shards_in(tmp_path / "served", 10, 6):
            host.serve(f"/{file.name}", file.read_bytes())
            host.serve(f"/{file.name}.index", Path(f"{file}.index").read_bytes())
        largest = max(len(served.content) for served in host.files.values())
        small = replace(store, shard_bytes=5 * largest)
        data = host.url + "/train-00000{0..9}.tar"
        dataset = dataset_of(data, small, mix_shards=2, valid_shards="*9.tar", workers=workers)
        dls = dataset.dataloaders(16)
        cache = ShardCache(store.root / "shards" / "fetched", 0)
        host.asked.clear()
        for _ in range(2):
            before = len([path for path in host.paths if path.endswith(".tar")])
            assert sum(len(batch[0]) for batch in dls.train) == 52  # whole batches of 54
            fetched = len([path for path in host.paths if path.endswith(".tar")]) - before
            assert 5 <= fetched <= 18  # of nine; one that had to go just before it was read comes twice
            assert cache.held() <= 5 * largest


@given(mixed=st.integers(1, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_the_loader_takes_each_image_once(
    mixed: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dls = _local(tmp_path_factory, mixed)
    dls.rng.seed(seed)
    order = list(dls.drawn_order())
    assert sorted(order) == list(range(len(dls.dataset)))
    shards = [dls.dataset.items[place].parent.name for place in order]
    windows = [set(shards[start : start + 4 * mixed]) for start in range(0, len(shards), 4 * mixed)]
    assert all(len(window) <= mixed for window in windows)


_LOADERS: dict[int, Any] = {}


def _local(factory: pytest.TempPathFactory, mixed: int) -> Any:
    if mixed not in _LOADERS:
        folder = factory.mktemp("local")
        shards_in(folder, 7, 4)
        store = Store(factory.mktemp("store"))
        dataset = dataset_of(str(folder), store, mix_shards=mixed, valid_shards="*6.tar")
        _LOADERS[mixed] = dataset.dataloaders(16).train
    return _LOADERS[mixed]


def test_batches_are_the_same_for_a_seed_and_whatever_loads_them(tmp_path: Path, store: Store) -> None:
    shards_in(tmp_path, 4, 4)
    sums = []
    for workers in (0, 0, 2):
        loader = dataset_of(str(tmp_path), store, mix_shards=2, workers=workers).dataloaders(16).train
        loader.rng.seed(5)
        sums.append([float(batch[0].sum()) for batch in loader])
    assert sums[0] == sums[1] == sums[2]


def test_decoded_images_may_be_kept(tmp_path: Path, store: Store) -> None:
    from visionkit.loading.loader import CachedLoading

    shards_in(tmp_path, 4, 4)
    assert not isinstance(dataset_of(str(tmp_path), store).dataloaders(16).train, CachedLoading)
    cached = dataset_of(str(tmp_path), store, cache="auto").dataloaders(16)
    assert isinstance(cached.train, CachedLoading) and len(list(cached.valid)) == 1


def test_an_image_that_does_not_decode(put: Put, store: Store) -> None:
    data = remote(put, 3)
    put(
        "s-1.tar", tar_of({"b.jpg": b"%!PS-Adobe", "b.cls": b"odd", "c.jpg": jpeg(0)[:300], "c.cls": b"even"})
    )
    dataset = dataset_of(data, store, valid_shards="s-2*")
    with pytest.raises(DataError, match=r"s-1\.tar/[bc]\.jpg: the image does not decode"):
        list(dataset.dataloaders(16).train)


def test_weighted_sampling_is_refused(put: Put, store: Store) -> None:
    with pytest.raises(UsageError, match="--class-weights"):
        dataset_of(remote(put, 2), store, weighted_sampling=True)


def test_a_check_looks_at_every_image(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    files = labelled(0, 4) | {"x.jpg": b"no image", "x.cls": b"odd"}
    (tmp_path / "d" / "a.tar").write_bytes(tar_of(files))
    done = cli("check", "shards", "--data", tmp_path / "d", "--exclude", "skip.txt")
    assert done.exit_code == 1 and "a.tar/x.jpg" in done.output
    assert Path("skip.txt").read_text().splitlines()[-1] == "a.tar/x.jpg"
    assert "x.jpg" not in cli("check", "shards", "--data", tmp_path / "d", "--skip", "skip.txt").output


def test_messages_of_the_command_line(cli: Cli, tmp_path: Path) -> None:
    assert "no shards" in cli("shards", "--data", tmp_path).output
    (tmp_path / "a.tar").write_bytes(b"no tar")
    done = cli("shards", "--data", tmp_path / "a.tar")
    assert done.exit_code == 1 and "not a whole, uncompressed tar file" in done.output
    assert cli("shards", "--data", "memory://bucket/{0..3.tar").exit_code == 2


@pytest.mark.slow
def test_a_training_from_the_web_with_a_small_cache(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with http_host() as host:
        for file in shards_in(tmp_path / "served", 6, 8, side=40):
            host.serve(f"/{file.name}", file.read_bytes())
        largest = max(len(served.content) for served in host.files.values())
        Path("settings.ini").write_text(
            f"[cache]\nshards_gb = {4.5 * largest / 1e9}\n[paths]\ndata = store\n"
        )
        data = host.url + "/train-00000{0..5}.tar"
        done = cli("shards", "--data", data, *FAST, "--size", 32, "--mix-shards", 2, "--out", "run")
        assert done.exit_code == 0, done.output
        assert ShardCache(Path("store/shards/fetched"), 0).held() <= 4.5 * largest
        assert "may predict otherwise" not in done.output
        others = [host.url + "/train-00000{4..5}.tar", f"shards:{host.url}/train-000000.tar"]
        for command in (
            *(["evaluate", "run"], ["plot", "run"], ["report", "run"]),
            *(["evaluate", "run", "--data", other] for other in [*others, tmp_path / "served"]),
        ):
            done = cli(*command)
            assert done.exit_code == 0, done.output
        done = cli("evaluate", "run", "--data", host.url + "/none-{0..1}.tar")
        assert done.exit_code == 1 and "none-0.tar: there is no such file" in done.output
        done = cli("evaluate", "run", "--data", "none")
        assert done.exit_code == 2 and "--data none: there is no such folder" in done.output


@pytest.mark.slow
def test_the_sample_is_learnt(cli: Cli) -> None:
    done = cli("shards", "--sample", "--no-html", "--seed", 1, "--out", "run")
    assert done.exit_code == 0, done.output
    metrics = json.loads(Path("run/run.json").read_text())["metrics"]
    assert metrics["accuracy"] > 0.8
