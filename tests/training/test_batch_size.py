"""`--bs auto`, and memory that runs out: nothing but the batch is another afterwards."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAST, Cli, train_fast
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.learner import Learner
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from visionkit.errors import VisionkitError
from visionkit.registry import get_recipe
from visionkit.training import batch_size, memory
from visionkit.training.batch_size import ChosenSize, doubled, estimated, largest_batch
from visionkit.training.memory import KeptBytes, available_memory, ran_out_of_memory
from visionkit.training.snapshot import Snapshot

pytestmark = pytest.mark.usefixtures("unpainted")

AUTO = ("--bs", "auto")


@pytest.fixture
def learn(pets: Path) -> Learner:
    """With an average, a mixing callback and an optimiser that has made steps."""
    options = {"size": 32, "bs": 4, "workers": 0, "arch": "small_vgg", "pretrained": False, "cache": "off"}
    recipe = get_recipe("pets")
    made = recipe.learner(recipe.dataloaders(pets, **options, precision="fp32", ema=0.9, mixup=0.4))
    with made.no_bar(), made.no_logging():
        made.fit_one_cycle(1, 1e-3)
    assert isinstance(made, Learner)
    return made


def everything(learn: Learner) -> dict[str, Any]:
    """All that a training hangs on."""
    params = [param for group in learn.opt.param_lists for param in group]
    return {
        "weights": {name: value.clone() for name, value in learn.model.state_dict().items()},
        "training": learn.model.training,
        "state": [
            {name: each.clone() if isinstance(each, Tensor) else each for name, each in state.items()}
            for state in (learn.opt.state[param] for param in params)
        ],
        "hypers": [dict(each) for each in learn.opt.hypers],
        "gradients": [param.grad for param in params],
        "averages": [value.clone() for value in learn.averaging.averages],
        "step": learn.averaging.step,
        "torch": torch.get_rng_state(),
        "numpy": [
            each.tolist() if isinstance(each, np.ndarray) else each for each in np.random.get_state()[1:]
        ],
        "python": list(random.getstate()[1]),
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def fails_above(monkeypatch: pytest.MonkeyPatch, most: int, training: bool = False) -> list[int]:
    """A network that has no memory for more than `most` images; returns the batch sizes that it meets.

    Args:
        training: fail in the backward pass of fastai's loop rather than in a forward pass.
    """
    met: list[int] = []
    original = nn.AdaptiveAvgPool2d.forward

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        met.append(len(images))
        if len(images) > most and self.training and not training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, images)

    backward = Learner._backward

    def loss_backward(self: Learner) -> None:
        backward(self)
        if training and len(self.xb[0]) > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr(nn.AdaptiveAvgPool2d, "forward", forward)
    monkeypatch.setattr(Learner, "_backward", loss_backward)
    return met


@given(fitting=st.integers(0, 300), most=st.integers(2, 200))
def test_doubling(fitting: int, most: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= fitting

    found = doubled(fits, most)
    assert found <= min(fitting, most) and found != 1
    if fitting >= most:
        assert found == most
    elif fitting >= 2:
        assert 2 * found > fitting
    assert tried == sorted(set(tried)) and sum(size > fitting for size in tried) <= 1


@given(each=st.integers(1, 10**9), always=st.integers(0, 10**9), free=st.integers(0, 10**12))
def test_estimate_leaves_a_tenth(each: int, always: int, free: int) -> None:
    size = estimated(lambda images: always + each * images, free)
    assert size * each * batch_size.BACKWARD <= 0.9 * free + 1
    assert size < 8 or size % 8 == 0


def test_the_trial_changes_nothing(learn: Learner) -> None:
    before = everything(learn)
    found = largest_batch(learn, 400)
    same(everything(learn), before)
    assert found == ChosenSize(20, "so that an epoch has 20 steps")
    assert str(found) == "batches of 20, so that an epoch has 20 steps"


def test_as_on_a_gpu(learn: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a trial, with the GPU's memory played: they stop where it runs out."""
    met = fails_above(monkeypatch, 9)
    for name, value in {
        "mem_get_info": (10**9, 10**9),
        "memory_reserved": 0,
        "reset_peak_memory_stats": None,
        "synchronize": None,
        "max_memory_reserved": 10**8,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(batch_size, "_can_try", lambda device: True)
    before = everything(learn)
    found = largest_batch(learn, 10_000)
    same(everything(learn), before)
    assert found == ChosenSize(8, "the largest that fits")
    assert met == [2, 2, 4, 4, 8, 8, 16]


def test_little_memory(learn: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(learn)
    monkeypatch.setattr(batch_size, "available_memory", lambda: 120 * 2**20)
    found = largest_batch(learn, 100_000)
    assert 2 <= found.size < 400 and found.reason == "the largest that fits"
    monkeypatch.setattr(batch_size, "available_memory", lambda: 1000)
    with pytest.raises(VisionkitError, match=r"not even 2 images of 32 px .* Lower --size"):
        largest_batch(learn, 100_000)
    same(everything(learn), before)


def test_what_a_step_keeps_grows_with_the_images() -> None:
    layers = nn.Sequential(nn.Linear(100, 50), nn.ReLU())
    sizes = []
    for images in (10, 20, 40):
        with KeptBytes() as kept:
            layers(torch.ones(images, 100))
        sizes.append(kept.bytes)
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0]) == 20 * (100 + 50) * 4


def test_memory_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = available_memory()
    assert 2**20 < free < 2**50
    (tmp_path / "limit").write_text("3000000\n")
    (tmp_path / "used").write_text("1000000\n")
    monkeypatch.setattr(memory, "_GROUPS", [(tmp_path / "limit", tmp_path / "used")])
    assert available_memory() == 2_000_000
    (tmp_path / "limit").write_text("max\n")
    assert available_memory() > 2_000_000


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_memory(error: BaseException, out: bool) -> None:
    assert ran_out_of_memory(error) is out


@pytest.mark.parametrize("where", ["forward", "validation", "step"])
def test_a_snapshot_brings_back_all(learn: Learner, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error in the midst of a batch, with mixed labels and swapped averages."""
    before, kept = everything(learn), Snapshot(learn)
    loss = learn.loss_func
    calls = [0]

    def fails(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] > 1 and (where != "validation" or not learn.model.training):
                raise MemoryError
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        if where == "step":
            patch.setattr(learn.opt, "step", fails(learn.opt.step))
        else:
            patch.setattr(learn.model, "forward", fails(learn.model.forward))
        with pytest.raises(MemoryError), learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, 1e-2)
    kept.restore()
    same(everything(learn), before)
    assert learn.loss_func == loss
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
        first = everything(learn)
        kept.restore()
        learn.fit_one_cycle(1, 1e-3)
    assert not learn.averaging._swapped and len(first["averages"]) > 10


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_again_with_half(cli: Cli, pets: Path, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage that started again leaves is what it leaves where the smaller size was chosen at once."""
    options = ["--data", pets, "--size", 32, "--arch", "resnet18", "--no-pretrained", "--workers", 0]
    options += ["--precision", "fp32", "--epochs", 2, "--ema", 0.5, "--mixup", 0.4, *AUTO]
    choose = "visionkit.training.sized.largest_batch"
    monkeypatch.setattr(choose, lambda *_: ChosenSize(4, "the largest that fits"))
    result = cli("pets", *options, "--out", "straight")
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(choose, lambda *_: ChosenSize(16, "the largest that fits"))
    with monkeypatch.context() as patch:
        fails_above(patch, 7, training)
        result = cli("pets", *options, "--out", "again")
    assert result.exit_code == 0, result.output
    for line in (
        "loading    batches as large as fit",
        "stage 1: batches of 16, the largest that fits",
        "stage 1: memory ran out with batches of 16; it starts again with 8",
        "stage 1: memory ran out with batches of 8; it starts again with 4",
    ):
        assert line in result.output
    for file in ("batches.csv", "model/model.safetensors"):
        assert Path("straight", file).read_bytes() == Path("again", file).read_bytes()
    info = json.loads(Path("again/run.json").read_text())
    assert info["batch_sizes"] == [4] and info["settings"]["bs"] == "auto"
    assert len(Path("again/history.csv").read_text().splitlines()) == 3

    reproduced = cli("reproduce", "again", "--out", "reproduced")
    assert reproduced.exit_code == 0 and "identical to the last digit" in reproduced.output, reproduced.output
    assert json.loads(Path("reproduced/run.json").read_text())["batch_sizes"] == [4]


def test_chosen_for_each_stage(cli: Cli, planet: Path) -> None:
    options = ["--data", planet, "--size", 32, "--then", 40, *FAST, *AUTO, "--valid-pct", 0.1, "--out", "run"]
    result = cli("planet", *options)
    assert result.exit_code == 0, result.output
    assert json.loads(Path("run/run.json").read_text())["batch_sizes"] == [2, 2]
    assert "stage 2: batches of 2, so that an epoch has 9 steps" in result.output


@pytest.mark.parametrize(("bs", "advice"), [("8", "--bs or --size"), ("2", "Lower --size"), ("auto", "")])
def test_memory_that_runs_out_is_one_message(
    cli: Cli, pets: Path, bs: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_above(monkeypatch, 0 if bs != "auto" else 1, training=True)  # not even one image by itself
    result = train_fast(cli, "pets", pets, "--bs", bs, "--out", "run")
    assert result.exit_code != 0 and "Traceback" not in result.output
    assert "memory ran out with batches of" in result.output and advice in " ".join(result.output.split())
    assert json.loads(Path("run/run.json").read_text())["status"] == "failed"


def test_other_errors_stay_what_they_are(learn: Learner) -> None:
    from visionkit.training.sized import BatchSizes
    from visionkit.training.stages import Stage

    def fit(size: int) -> None:
        raise RuntimeError("shapes differ")

    sizes = BatchSizes(24, lambda text: None, given=[8])
    with pytest.raises(RuntimeError, match="shapes differ"):
        sizes.train(learn, Stage(1, 32, False, 1, 0.1, 1), fit, lambda: None)
    assert sizes.chosen == []
