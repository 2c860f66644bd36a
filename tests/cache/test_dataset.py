"""A data set's cache: one for its files and their treatment, and training goes on where there can be none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import PIL
import pytest
import torch
from cache.drawn import Heard, caches, loaders, opened
from conftest import FAST, SIZES, Cli, noise
from loading.pairs import assert_same_batches, pair, recipe_of
from PIL import Image

from visionkit.cache import keys
from visionkit.cache.listing import entries
from visionkit.errors import DataError
from visionkit.loading.loader import CachedLoading
from visionkit.sources.base import Store

NOT_USED = "cache      not used, and loading is slower: "
DECODING = "decoding images once"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Heard())


def said(store: Store) -> list[str]:
    assert isinstance(store.progress, Heard)
    return store.progress.notes


def is_cached(dls: Any) -> bool:
    return all(isinstance(loader, CachedLoading) for loader in dls.loaders)


def test_images_are_decoded_once(pets: Path, store: Store) -> None:
    dls = loaders(opened("pets", pets, store))
    assert is_cached(dls) and len(caches(store)) == 2
    assert {(each.kind, each.size, each.images) for each in entries(store.cache_folder)} == {
        ("training", "64x64", 24),
        ("validation", "32x32", 4),  # after the batch transforms
    }
    found = next(iter(dls.valid))[0]
    again = loaders(opened("pets", pets, store))
    assert said(store).count(DECODING) == 1
    assert torch.equal(next(iter(again.valid))[0], found)


def test_off_leaves_no_trace(pets: Path, store: Store) -> None:
    assert not is_cached(loaders(opened("pets", pets, store, cache="off")))
    assert not store.cache_folder.exists()
    assert not is_cached(opened("pets", pets, store).dataloaders(32, fill=False))
    assert not store.cache_folder.exists()


def test_trainings_of_other_splits_share_the_training_images(pets: Path, store: Store) -> None:
    loaders(opened("pets", pets, store))
    first = caches(store)
    loaders(opened("pets", pets, store, seed=7))
    assert len(caches(store) - first) == 1


def touch(folder: Path) -> None:
    os.utime(folder / "images" / "Sphynx_1.jpg", (1, 1))


def redraw(folder: Path) -> None:
    Image.fromarray(noise(77, 31, 41)).save(folder / "images" / "Sphynx_1.jpg")


def delete(folder: Path) -> None:
    (folder / "images" / "Sphynx_1.jpg").unlink()


def add(folder: Path) -> None:
    Image.fromarray(noise(77, 31, 41)).save(folder / "images" / "Sphynx_9.jpg")


def rename(folder: Path) -> None:
    (folder / "images" / "Sphynx_1.jpg").rename(folder / "images" / "Sphynx_01.jpg")


@pytest.mark.parametrize("change", [touch, redraw, delete, add, rename])
def test_changed_files_have_a_cache_of_their_own(change: Any, pets: Path, store: Store) -> None:
    dataset = opened("pets", pets, store)
    loaders(dataset)
    first = caches(store)
    change(pets)
    if change in (touch, redraw):
        assert not is_cached(dataset.dataloaders(32, torch.device("cpu"), fill=False))  # what is kept is old
    dls = loaders(opened("pets", pets, store))
    assert is_cached(dls)
    assert len(caches(store) - first) >= 1
    if change is redraw:
        stock = loaders(opened("pets", pets, store, cache="off"))
        for one, other in zip(dls.valid, stock.valid):
            assert torch.equal(one[0], other[0])


@pytest.mark.parametrize("options", [{"presize": 40}, {"size": 48}])
def test_other_sizes_have_a_cache_of_their_own(options: dict[str, Any], pets: Path, store: Store) -> None:
    loaders(opened("pets", pets, store))
    first = caches(store)
    loaders(opened("pets", pets, store, **options), options.get("size", 32))
    assert len(caches(store) - first) == 2


def test_another_pillow_has_a_cache_of_its_own(
    pets: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaders(opened("pets", pets, store))
    assert PIL.__version__ in keys.VERSION
    monkeypatch.setattr(keys, "VERSION", keys.VERSION.replace(PIL.__version__, "99.0"))
    loaders(opened("pets", pets, store))
    assert said(store).count(DECODING) == 2


def test_photos_that_are_turned_have_a_cache_of_their_own(
    pets: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaders(opened("pets", pets, store))
    monkeypatch.setattr("visionkit.data.dataset.UPRIGHT_TASKS", ())
    loaders(opened("pets", pets, store))
    assert said(store).count(DECODING) == 2 and len(caches(store)) == 4


@pytest.fixture
def masks(camvid: Path) -> Path:
    """Images and masks that hold values of a table."""
    (camvid / "labels").rename(camvid / "masks")
    for mask in (camvid / "masks").iterdir():
        mask.rename(mask.with_name(mask.name.replace("_P", "")))
    for name in ("codes.txt", "valid.txt"):
        (camvid / name).unlink()
    (camvid / "codes.csv").write_text("name,r,g,b\nsky,0,0,0\nroad,1,1,1\ncar,2,2,2\nvoid,3,3,3\n")
    return camvid


def test_masks_that_are_read_otherwise_have_a_cache_of_their_own(masks: Path, store: Store) -> None:
    first = next(iter(loaders(opened("masks", masks, store, codes="codes.csv"), 36).valid))[1]
    (masks / "codes.csv").write_text("name,r,g,b\nroad,1,1,1\nsky,0,0,0\ncar,2,2,2\nvoid,3,3,3\n")
    dls = loaders(opened("masks", masks, store, codes="codes.csv"), 36)
    stock = loaders(opened("masks", masks, store, codes="codes.csv", cache="off"), 36)
    assert is_cached(dls)
    second = next(iter(dls.valid))[1]
    assert torch.equal(second, next(iter(stock.valid))[1]) and not torch.equal(first, second)


def test_a_changed_mask_has_a_cache_of_its_own(camvid: Path, store: Store) -> None:
    loaders(opened("camvid", camvid, store), 36)
    mask = camvid / "labels" / "frame_9_P.png"
    Image.fromarray(np.full((36, 48), 2, np.uint8)).save(mask)
    dls = loaders(opened("camvid", camvid, store), 36)
    assert is_cached(dls) and (next(iter(dls.valid))[1][1] == 2).all()


def test_codes_that_are_removed_are_missed(camvid: Path, store: Store) -> None:
    loaders(opened("camvid", camvid, store), 36)
    (camvid / "codes.txt").write_text("Sky\nRoad\nCar\n")
    with pytest.raises(DataError, match=r"frame_\d_P.png"):
        loaders(opened("camvid", camvid, store), 36)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("images/frame_3.png", None, "frame_3.png: the file cannot be read any more"),
        ("images/frame_3.png", b"nothing", "frame_3.png: the image does not decode"),
        ("images/frame_9.png", b"nothing", "frame_9.png: the image does not decode"),
        ("labels/frame_3_P.png", None, "frame_3_P.png: the file cannot be read any more"),
        ("labels/frame_3_P.png", b"nothing", "frame_3_P.png: the mask does not decode"),
    ],
)
def test_files_that_went_bad_after_the_check_are_named(
    file: str, content: bytes | None, told: str, camvid: Path, store: Store
) -> None:
    dataset = opened("camvid", camvid, store)
    if content is None:
        (camvid / file).unlink()
    else:
        (camvid / file).write_bytes(content)
    with pytest.raises(DataError, match=told):
        loaders(dataset, 36)
    assert not store.cache_folder.exists() or caches(store) == set()


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (np.full((36, 48), 4, np.uint8), "the mask holds the code 4; there are 4, from 0"),
        (np.zeros((30, 48), np.uint8), "the mask has 48 x 30 px, and its image 48 x 36"),
    ],
)
@pytest.mark.parametrize("frame", [3, 9])
def test_masks_that_changed_after_the_check_are_named(
    frame: int, codes: np.ndarray, told: str, camvid: Path, store: Store
) -> None:
    dataset = opened("camvid", camvid, store)
    Image.fromarray(codes).save(camvid / "labels" / f"frame_{frame}_P.png")
    with pytest.raises(DataError, match=f"frame_{frame}_P.png: {told}"):
        loaders(dataset, 36)


def test_a_picture_that_is_listed_twice_is_served_twice(pets: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        lambda path, options: fv.DataBlock(
            blocks=(fv.ImageBlock, fv.CategoryBlock),
            get_items=lambda folder: sorted((folder / "images").iterdir())[::2] * 2,
            get_y=lambda file: file.name[0],
            splitter=lambda items: ([0, 5, 9, 6, 21, 12, 0], [15, 1, 11, 2, 1, 7]),
            item_tfms=fv.Resize(20),
        )
    )
    cached, stock = pair(recipe, pets, tmp_path / "store")
    assert_same_batches(cached.valid, stock.valid, 1e-5)
    assert sum(len(y) for _, y in cached.train.new(drop_last=False)) == 7


@pytest.mark.parametrize("why", ["limit", "place", "disk"])
def test_training_goes_on_where_there_is_no_room(
    why: str, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    store = Store(tmp_path / "store", heard)
    match why:
        case "limit":
            store = Store(tmp_path / "store", heard, cache_bytes=100)
            told = "the limit is 100 bytes (max_gb of [cache] in settings.ini)"
        case "place":
            (tmp_path / "file").write_text("")
            store = Store(tmp_path / "store", heard, cache=tmp_path / "file" / "cache")
            told = f"{tmp_path}/file/cache cannot be written (Not a directory)"
        case _:
            monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # type: ignore[attr-defined]
            told = "has 0 bytes to spare"
    dls = loaders(opened("pets", pets, store))
    assert not is_cached(dls) and len(list(dls.train)) == 5
    (line,) = [note for note in heard.notes if note.startswith("cache ")]
    assert line.startswith(NOT_USED) and told in line
    assert not (tmp_path / "store" / "cache").exists() or caches(store) == set()


def test_a_disk_that_is_full_is_told_of(cli: Cli, pets: Path, tmp_path: Path) -> None:
    """By the command line; on a file system that holds less than the images take, where we may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "none", place], capture_output=True, check=False
    ).returncode:
        (tmp_path / "small").rmdir()
        (tmp_path / "small").write_text("")
    Path("settings.ini").write_text(f"[cache]\nfolder = {place}/cache\n")
    try:
        done = cli("pets", "--data", pets, "--size", SIZES["pets"], *FAST, "--then", "", "--out", "run")
        assert done.exit_code == 0, done.output
        assert "cache      not used, and loading is slower: " in done.output
        assert "from the files" in done.output and "from the cache" not in done.output
        assert not place.is_dir() or not [*place.glob("cache/[!.]*"), *place.glob("cache/*.part")]
    finally:
        subprocess.run(["umount", place], capture_output=True, check=False)


@pytest.mark.slow
def test_two_trainings_at_once_decode_once(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text(f"[paths]\ndata = {tmp_path}/store\n")
    call = [sys.executable, "-m", "visionkit", "pets", "--data", pets, "--size", "32", *FAST, "--out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*call, name], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
        for name in ("one", "other")
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert all("from the cache" in output for output in outputs)
    assert len(caches(Store(tmp_path / "store"))) == 2
    assert not list((tmp_path / "store" / "cache").glob("*.part"))
