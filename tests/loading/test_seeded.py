"""Uncached loaders: fastai's, but that what is random hangs neither on processes nor on what else draws."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import cloudpickle
import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from fastai.data.core import TfmdDL
from loading.numbers import KINDS, epoch, global_states, uncached
from loading.pairs import pair
from torch import Tensor

from visionkit.loading.loader import CachedLoading
from visionkit.loading.seeded import SeededLoading
from visionkit.loading.seeding import seed_of, seeded
from visionkit.registry import get_recipe


def pixels(loader: Any) -> list[list[bytes]]:
    return [[part.as_subclass(Tensor).numpy().tobytes() for part in batch] for batch in loader]


def uncached_loaders(name: str, folder: Path, tmp_path: Path, **options: Any) -> Any:
    dls = pair(name, folder, tmp_path / "store", **options)[1]
    dls.train.rng, dls.valid.rng = random.Random(7), random.Random(8)
    return dls


@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid", "heads"], indirect=True)
def test_processes_change_nothing(dataset: tuple[str, Path], tmp_path: Path) -> None:
    name, folder = dataset
    recipe = {"heads": "headpose"}.get(name, name)
    found = []
    for workers in (0, 1, 2):
        dls = uncached_loaders(recipe, folder, tmp_path, bs=3, workers=workers)
        torch.manual_seed(workers)
        random.seed(workers)
        found.append([pixels(loader) for loader in (dls.train, dls.valid, dls.train, dls.valid)])
    assert found[0] == found[1] == found[2]
    train, valid, again, same = found[0]
    assert valid == same and train != again


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_the_process_own_random_numbers_stay_as_they_are(kind: str, workers: int) -> None:
    loader = KINDS[kind](11, 1, bs=3, shuffle=True, workers=workers, weighted=True)
    before = global_states()
    running = iter(loader)
    for _ in range(3):
        next(running)
        assert global_states() == before
    running.close()
    epoch(loader)
    loader.one_batch()
    assert global_states() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_draws_nothing(workers: int, pets: Path, tmp_path: Path) -> None:
    for dls in pair("pets", pets, tmp_path / "store", workers=workers):
        before = global_states()
        assert len(list(dls.valid)) == len(dls.valid)
        assert global_states() == before


def test_an_item_s_numbers_hang_on_its_place_alone() -> None:
    """Not on those of the items before it, nor on the size of batches."""
    found = []
    for size in (2, 5):
        loader = uncached(10, 3, bs=size, shuffle=True)
        loader.after_batch = fv.Pipeline([])
        found.append([row for drawn, _ in loader for row in drawn.tolist()])
    assert found[0] == found[1]
    assert len({value for row in found[0] for value in row}) == 30


def test_items_that_are_skipped_move_no_others() -> None:
    loader, other = uncached(9, 3, bs=3), uncached(9, 3, bs=3)
    stock = other.dataset.__class__.__getitem__

    class Fewer(type(other.dataset)):  # type: ignore[misc]
        def __getitem__(self, place: int) -> Any:
            if place == 4:
                raise fv.SkipItemException
            return stock(self, place)

    other.dataset.__class__ = Fewer
    other.after_batch = loader.after_batch = fv.Pipeline([])
    everything = {place: drawn for values, places in epoch(loader) for drawn, place in zip(values, places)}
    fewer = {place: drawn for values, places in epoch(other) for drawn, place in zip(values, places)}
    del everything[4]
    assert fewer == everything


def test_random_numbers_are_distributed_as_fastai_s(pets: Path, tmp_path: Path) -> None:
    dls = uncached_loaders("pets", pets, tmp_path, bs=8)
    stock = dls.train.plain()
    assert isinstance(dls.train, SeededLoading) and type(stock) is TfmdDL
    random.seed(1)
    torch.manual_seed(1)
    ours, theirs = (
        np.concatenate(
            [x.as_subclass(Tensor).flatten(2)[..., ::97].flatten(1) for _ in range(20) for x, _ in loader]
        )
        for loader in (dls.train, stock)
    )
    assert ours.shape == theirs.shape and len(ours) == 320
    spread = theirs.std(axis=0)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 6 * spread / 320**0.5).all()
    assert (np.abs(ours.std(axis=0) / spread - 1) < 0.3).all()


def test_fastai_s_learner_is_at_home(pets: Path, tmp_path: Path) -> None:
    dls = uncached_loaders("pets", pets, tmp_path, workers=2)
    learn = get_recipe("pets").learner(dls, arch="squeezenet1_1", pretrained=False, precision="fp32")
    files = sorted((pets / "images").iterdir())
    with learn.no_bar(), learn.no_logging():
        labels = learn.get_preds(ds_idx=0)[1]
        assert labels.tolist() == [label for _, label in dls.train_ds]
        assert len(learn.get_preds()[0]) == len(dls.valid_ds)
        assert len(learn.get_preds(dl=learn.dls.test_dl(files[:5]))[0]) == 5
        assert learn.tta(n=2)[0].shape == (len(dls.valid_ds), 3)
        learn.fit(1, 1e-3)
        learn.show_results()
    learn.export(tmp_path / "learner.pkl")
    assert b"visionkit.loading" not in (tmp_path / "learner.pkl").read_bytes()
    for loader in dls.loaders:
        loader.show_batch()
        loader.show_batch(unique=True, max_n=3)
        x, y = loader.one_batch()
        assert x.shape == (4, 3, 32, 32) and type(y) is fv.TensorCategory
        assert len(pixels(loader)) == len(loader)


def test_unique_shows_one_image_in_many_ways(pets: Path, tmp_path: Path) -> None:
    dls = uncached_loaders("pets", pets, tmp_path)
    dls.train.get_idxs = lambda: fv.Inf.zeros
    x, y = dls.train.one_batch()
    assert len(set(y.tolist())) == 1 and len({image.numpy().tobytes() for image in x}) == 4


def test_copies_give_the_same(pets: Path, tmp_path: Path) -> None:
    dls = uncached_loaders("pets", pets, tmp_path, workers=1)
    dls.train.show_batch(unique=True)
    copies = [
        copy.copy(dls.train),
        copy.deepcopy(dls.train),
        copy.deepcopy(dls).train,
        cloudpickle.loads(cloudpickle.dumps(dls.train)),
    ]
    dls.train.rng = random.Random(7)
    expected = pixels(dls.train)
    for made in copies:
        made.rng = random.Random(7)
        assert isinstance(made, SeededLoading) and made.fake_l.d is made
        assert pixels(made) == expected


def test_new_loaders_of_the_same_images_are_seeded_too(pets: Path, tmp_path: Path) -> None:
    dls = uncached_loaders("pets", pets, tmp_path)
    for made in (dls.train.new(bs=3), dls.train.new(shuffle=False), dls.train.new(after_batch=[])):
        assert isinstance(made, SeededLoading) and not isinstance(made, CachedLoading)
        assert len(epoch_of(made)) == len(made)
    other = dls.test_dl(sorted((pets / "images").iterdir()))
    assert type(other) is TfmdDL and len(epoch_of(other)) == len(other)


def epoch_of(loader: Any) -> list[Any]:
    return list(loader)


def test_seeds() -> None:
    seeds = {seed_of(seed, kind, place) for seed in range(20) for kind in range(4) for place in range(100)}
    assert len(seeds) == 8000 and all(0 <= seed < 2**64 for seed in seeds)
    drawn = []
    for seed in (5, 5, 2**64 - 1):
        before = global_states()
        with seeded(seed):
            drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
        assert global_states() == before
        with pytest.raises(KeyError), seeded(seed):
            raise KeyError
        assert global_states() == before
    assert drawn[0] == drawn[1] and not set(drawn[0]) & set(drawn[2])
