"""Training batches from the cache: fastai's order and distribution, the same for any number of threads."""

from __future__ import annotations

import copy
import gc
import random
import threading
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from conftest import noise
from fastai.callback.data import WeightedDL
from loading.pairs import assert_same_batches, pair, recipe_of
from PIL import Image
from torch import Tensor

from visionkit.data.dataset import Dataset
from visionkit.loading.loader import CachedLoading
from visionkit.progress import Silence
from visionkit.registry import get_recipe
from visionkit.sources.base import Store


def epoch(loader: Any) -> list[tuple[Tensor, Tensor]]:
    """All batches, each as plain tensors of its own."""
    return [(x.as_subclass(Tensor).clone(), y.as_subclass(Tensor).clone()) for x, y in loader]


def order(loader: Any) -> list[int]:
    return torch.cat([y for _, y in epoch(loader)]).tolist()


def same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, other)
    )


def seeded_loaders(pets: Path, tmp_path: Path, workers: int, **options: Any) -> Any:
    cached, _ = pair("pets", pets, tmp_path / "store", workers=workers, **options)
    cached.train.rng = random.Random(11)
    return cached


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_change_nothing(workers: int, pets: Path, tmp_path: Path) -> None:
    alone, ahead = (seeded_loaders(pets, tmp_path, count).train for count in (0, workers))
    first, second = epoch(alone), epoch(alone)
    assert not same(first, second)
    torch.manual_seed(99)  # what else draws numbers makes no difference
    assert same(epoch(ahead), first)
    torch.manual_seed(100)
    assert same(epoch(ahead), second)
    for loader in (alone, ahead):
        loader.one_batch()
        for _ in loader:
            break
    assert same(epoch(alone), epoch(ahead))
    for loader in (alone, ahead):
        loader.rng.seed(11)  # though the next epoch was begun
    assert same(epoch(alone), epoch(ahead))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("options", [{}, {"bs": 8}, {"bs": 64}])
def test_images_come_in_fastai_s_order(
    workers: int, options: dict[str, Any], pets: Path, tmp_path: Path
) -> None:
    cached, stock = pair("pets", pets, tmp_path / "store", **options)
    cached = pair("pets", pets, tmp_path / "store", workers=workers, **options)[0]
    cached.train.rng, stock.train.rng = random.Random(5), random.Random(5)
    assert len(cached.train) == len(stock.train)
    plain = stock.train.plain()
    assert type(plain) is fv.TfmdDL
    plain.rng = random.Random(5)
    for _ in range(4):
        assert order(cached.train) == order(stock.train) == order(plain)


def test_rare_classes_are_drawn_as_often_as_others(pets: Path, tmp_path: Path) -> None:
    for image in sorted((pets / "images").glob("Sphynx_*"))[2:]:
        image.unlink()
    cached, stock = pair("pets", pets, tmp_path / "store", workers=2, weighted_sampling=True)
    assert isinstance(cached.train, CachedLoading) and isinstance(cached.train, type(stock.train))
    assert isinstance(stock.train, WeightedDL)
    cached.train.rng, stock.train.rng = random.Random(5), random.Random(5)
    before = np.random.get_state()
    found = [order(cached.train) for _ in range(30)]
    assert str(before) == str(np.random.get_state())  # though the next epoch was drawn
    stock.train.fake_l.num_workers = 0
    assert found == [order(stock.train) for _ in range(30)]
    share = np.bincount(np.concatenate(found)) / sum(map(len, found))
    assert (np.abs(share - 1 / 3) < 0.08).all()


def test_the_last_batch_is_left_out_where_fastai_does_so(pets: Path, tmp_path: Path) -> None:
    cached, stock = pair("pets", pets, tmp_path / "store", bs=6)
    for loader in (cached.train, cached.train.new(bs=7), cached.valid):
        other = (stock.valid if loader is cached.valid else stock.train).new(bs=loader.bs)
        other.drop_last = loader.drop_last
        assert len(loader) == len(other) == len(epoch(loader))
        assert [len(x) for x, _ in epoch(loader)] == [len(x) for x, _ in epoch(other)]


def test_new_loaders_take_their_options_from_the_loader_as_it_is(pets: Path, tmp_path: Path) -> None:
    cached, stock = pair("pets", pets, tmp_path / "store")
    for dls in (cached, stock):
        dls.train.bs, dls.train.drop_last = 3, False
    made, expected = cached.train.new(shuffle=False), stock.train.new(shuffle=False)
    assert isinstance(made, CachedLoading)
    assert (made.bs, made.drop_last, len(made)) == (3, False, len(expected))
    assert order(made) == order(expected)
    other = cached.train.new(after_batch=[fv.IntToFloatTensor()])
    assert not isinstance(other, CachedLoading)
    assert next(iter(other))[0].shape == (3, 3, 64, 64)


def test_validation_images_in_training_s_way_are_made_by_fastai(pets: Path, tmp_path: Path) -> None:
    """As test-time augmentation does it: fastai sets the part of the data set to training."""
    cached, stock = pair("pets", pets, tmp_path / "store")
    found = []
    for dls in (cached, stock):
        loader = dls.valid.new()
        with loader.dataset.set_split_idx(0):
            loader.rng = random.Random(4)
            found.append(epoch(loader))
            assert not same(found[-1], epoch(loader))  # the next time in other ways
    assert same(*found)
    assert not same(found[0], epoch(cached.valid))
    assert_same_batches(cached.valid, stock.valid)


def test_fastai_s_learner_is_at_home(pets: Path, tmp_path: Path) -> None:
    recipe = get_recipe("pets")
    cached, stock = pair("pets", pets, tmp_path / "store")
    learns = [
        recipe.learner(dls, arch="squeezenet1_1", pretrained=False, precision="fp32")
        for dls in (cached, stock)
    ]
    learns[1].model.load_state_dict(learns[0].model.state_dict())
    files = sorted((pets / "images").iterdir())
    with learns[0].no_bar(), learns[0].no_logging(), learns[1].no_bar(), learns[1].no_logging():
        for ask in (
            lambda learn: learn.get_preds(),
            lambda learn: learn.get_preds(dl=learn.dls.test_dl(files[:5], num_workers=0)),
            lambda learn: learn.validate(),
        ):
            for ours, theirs in zip(ask(learns[0]), ask(learns[1])):
                if ours is not None:
                    torch.testing.assert_close(
                        torch.as_tensor(ours), torch.as_tensor(theirs), atol=1e-4, rtol=0
                    )
        predicted, labels = learns[0].tta(n=2)
        assert predicted.shape == (len(labels), 3)
        learns[0].fit(1, 1e-3)
        learns[0].show_results()
    learns[0].export(tmp_path / "learner.pkl")
    assert 2_000_000 < (tmp_path / "learner.pkl").stat().st_size < 20_000_000  # weights, and no images
    for loader in cached.loaders:
        loader.show_batch()
        loader.show_batch(unique=True, max_n=3)
        x, y = loader.one_batch()
        assert x.shape == (4, 3, 32, 32) and type(y) is fv.TensorCategory


def test_predictions_of_a_data_set_s_own_images_come_from_the_cache(pets: Path, tmp_path: Path) -> None:
    cached, _ = pair("pets", pets, tmp_path / "store")
    learn = get_recipe("pets").learner(cached, arch="squeezenet1_1", pretrained=False)
    for image in (pets / "images").iterdir():
        image.write_bytes(b"")
    with learn.no_bar():
        assert len(learn.get_preds(ds_idx=1)[0]) == len(cached.valid_ds)


def test_copies_have_the_same_images(pets: Path, tmp_path: Path) -> None:
    cached = seeded_loaders(pets, tmp_path, 1)
    epoch(cached.train)  # so that the next one is begun
    for other in (copy.copy(cached.train), copy.deepcopy(cached.train), copy.deepcopy(cached).train):
        assert isinstance(other, CachedLoading)
        assert other.dataset[0][0].size == cached.train.dataset[0][0].size
        assert len(epoch(other)) == len(cached.train)
    assert_same_batches(copy.deepcopy(cached.valid), cached.valid)


def maker_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith(("batches", "images"))]


def test_threads_live_across_epochs_and_end_with_their_loaders(pets: Path, tmp_path: Path) -> None:
    before = len(maker_threads())
    cached = seeded_loaders(pets, tmp_path, 2)
    epoch(cached.train)
    alive = maker_threads()
    assert before < len(alive) <= before + 3
    for _ in range(3):
        epoch(cached.train)
        for _ in cached.train:
            break
    assert len(maker_threads()) <= before + 3
    waiting = [each for each in threading.enumerate() if each.name in maker_threads()]
    del cached
    gc.collect()
    for thread in waiting[before:]:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_fault_in_a_thread_reaches_the_user_and_the_loader_goes_on(
    workers: int, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = seeded_loaders(pets, tmp_path, workers).train

    def broken(place: int) -> np.ndarray:
        raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(train.feed.stored, "image", broken)
        with pytest.raises(RuntimeError, match="the disk is gone"):
            epoch(train)
    assert len(epoch(train)) == len(train)


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_is_flat(workers: int, pets: Path, tmp_path: Path) -> None:
    train = seeded_loaders(pets, tmp_path, workers).train
    counts = []
    for _ in range(12):
        for _ in train:
            pass
        counts.append(len(train.feed._buffers._arrays))
    assert max(counts) <= 8  # as many as are made ahead, and those of the epoch that is begun
    held = list(train)
    pictures = [x.clone() for x, _ in held]
    epoch(train)
    assert all(torch.equal(x, picture) for (x, _), picture in zip(held, pictures))  # nobody else's
    many = [x for _ in range(8) for x, _ in train]
    assert len(train.feed._buffers._arrays) >= len(many)
    del many, held
    epoch(train)
    assert len(train.feed._buffers._arrays) <= 12


class Inverted(fv.Transform):
    """A transform that the cache has never heard of."""

    order = 90

    def encodes(self, x: fv.TensorImage) -> Any:
        return 1 - x


def own_block(item: Any, batch: Any) -> Any:
    return lambda path, options: fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: sorted((folder / "images").iterdir()),
        get_y=fv.using_attr(fv.RegexLabeller(r"^(.+)_\d+\.[^.]+$"), "name"),
        splitter=fv.RandomSplitter(seed=1),
        item_tfms=item,
        batch_tfms=batch,
    )


@pytest.mark.parametrize(
    "batch",
    [[Inverted()], [*fv.aug_transforms(), Inverted()], [fv.RandomErasing(p=1.0)], [fv.Saturation(p=1.0)]],
)
def test_unknown_batch_transforms_are_applied_afterwards(
    batch: list[Any], pets: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(own_block(fv.Resize(24), batch))
    cached, stock = pair(recipe, pets, tmp_path / "store")
    assert_same_batches(cached.valid, stock.valid, 1e-5)
    assert cached.train.feed.rest(list(cached.train.after_batch.fs))[-1] is batch[-1]
    x = torch.cat([x for x, _ in epoch(cached.train)])
    theirs = torch.cat([x for x, _ in epoch(stock.train)])
    assert abs(x.mean() - theirs.mean()) < 0.05 and x.shape == theirs.shape


class Notes(Silence):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ([fv.Resize(24), fv.RandomCrop(20)], "here are Resize, RandomCrop"),
        (fv.RandomCrop(20), "it does not know the item transform RandomCrop"),
        (fv.CropPad(24), "it does not know the item transform CropPad"),
    ],
)
def test_unknown_item_transforms_leave_loading_to_fastai(
    item: Any, reason: str, pets: Path, tmp_path: Path
) -> None:
    notes = Notes()
    recipe = recipe_of(own_block(item, []))
    settings = recipe.resolved(size=24, bs=4, workers=0, device="cpu")
    dataset = Dataset.open(recipe, settings, pets, Store(tmp_path / "store", notes))
    dls = dataset.dataloaders(24, torch.device("cpu"))
    assert not isinstance(dls.train, CachedLoading)
    assert len(epoch(dls.train)) == 5
    said = notes.said[-1]
    assert said.startswith("cache      not used, and loading is slower: ") and reason in said


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images whose colours tell where a pixel was: red from left to right, green from top to bottom."""
    folder = tmp_path_factory.mktemp("gradients")
    (folder / "images").mkdir()
    for number in range(40):
        across, down = np.meshgrid(np.linspace(0, 255, 60), np.linspace(0, 255, 40))
        pixels = np.stack([across, down, np.full_like(across, 127.0)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{'ab'[number % 2]}_{number}.png")
    return folder


STATISTICS = {
    "crop": (fv.Resize(24), []),
    "pad": (fv.Resize(24, "pad", pad_mode="zeros"), []),
    "pad by reflection": (fv.Resize(48, "pad"), []),
    "random crop": (fv.RandomResizedCrop(24, min_scale=0.3), []),
    "small crop": (fv.RandomResizedCrop(24, min_scale=0.08), []),
    "rotate": (fv.Resize(32, "squish"), [fv.Rotate(30, p=0.7, pad_mode="border")]),
    "zoom and light": (fv.Resize(32, "squish"), fv.aug_transforms(max_warp=0.0, max_rotate=0.0)),
    "all": (fv.Resize(40), fv.aug_transforms(size=24, min_scale=0.6, max_lighting=0.5)),
}


def facts(loader: Any, epochs: int) -> np.ndarray:
    """Of each image its mean colours, and how they change from left to right and from top to bottom."""
    rows = []
    for _ in range(epochs):
        for x, _ in loader:
            plain = x.as_subclass(Tensor)
            side = plain.shape[-1] // 2
            across = plain[..., side:].mean((2, 3)) - plain[..., :side].mean((2, 3))
            down = plain[:, :, side:].mean((2, 3)) - plain[:, :, :side].mean((2, 3))
            rows.append(torch.cat([plain.mean((2, 3)), across[:, :2], down[:, :2]], dim=1))
    return torch.cat(rows).numpy()


@pytest.mark.parametrize("name", STATISTICS)
def test_random_numbers_are_distributed_as_fastai_s(name: str, gradients: Path, tmp_path: Path) -> None:
    item, batch = STATISTICS[name]
    cached, stock = pair(recipe_of(own_block(item, batch)), gradients, tmp_path / "store", bs=32)
    random.seed(1)
    torch.manual_seed(1)
    ours, theirs = facts(cached.train, 25), facts(stock.train.plain(), 25)
    assert len(ours) == len(theirs) == 800
    spread = theirs.std(axis=0) + 0.01
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * spread / 800**0.5 + 0.004).all()
    assert (np.abs(ours.std(axis=0) / spread - theirs.std(axis=0) / spread) < 0.15).all()
    distance = np.abs(np.sort(ours, axis=0) - np.sort(theirs, axis=0)).mean(axis=0)
    assert (distance < 0.2 * spread + 0.004).all()


def test_images_that_are_smaller_than_the_presize_are_enlarged(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(8):
        Image.fromarray(noise(number, 10 + number, 9)).resize((20 + number, 18)).save(
            tmp_path / "images" / f"{'ab'[number % 2]}_{number}.png"
        )
    cached, stock = pair(recipe_of(own_block(fv.Resize(48), [])), tmp_path, tmp_path / "store")
    ours, theirs = facts(cached.train, 30), facts(stock.train.plain(), 30)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 0.03).all()
    assert all(len(x[0]) and x[0].shape[2:] == (48, 48) for x in epoch(cached.train))
