"""`--seed` fixes everything on a CPU, whatever the number of workers; on a GPU `--deterministic` does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import FAST, SIZES, Cli
from torch import nn
from torch.nn import functional

from visionkit.errors import VisionkitError
from visionkit.runs import Run
from visionkit.training import hardware
from visionkit.training.determinism import CUBLAS, deterministic
from visionkit.training.hardware import tuned
from visionkit.training.outcome import compare_runs

pytestmark = pytest.mark.usefixtures("unpainted")

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
Train = Callable[..., Run]

TRAININGS = [
    ("pets", ["--mixup", 0.4, "--cutmix", 1, "--ema", 0.9, "--weighted-sampling", "--then", ""]),
    ("planet", ["--then", 40, "--precision", "bf16"]),
    ("camvid", ["--then", "", "--weighted-sampling"]),
]


@pytest.fixture
def train(cli: Cli, tmp_path: Path) -> Train:
    """Trains a recipe on a small data set without the cache, in a run folder of this name."""

    def call(dataset: tuple[str, Path], out: str, *options: object) -> Run:
        name, folder = dataset
        given = options if "--epochs" in options else [*options, "--epochs", 1]
        given = given if "--cache" in options else [*given, "--cache", "off"]
        result = cli(name, "--data", folder, "--size", SIZES[name], *FAST[:-2], *given, "--out", out)
        assert result.exit_code == 0, result.output
        return Run.read(Path(out))

    return call


def assert_identical(runs: list[Run]) -> None:
    """Final figures, epochs, losses of batches and weights are the same, bit for bit."""
    for run in runs[1:]:
        outcome = compare_runs(runs[0], run)
        assert outcome.identical and outcome.same_weights and outcome.compared, outcome
        assert run.info["machine"]["threads"] == runs[0].info["machine"]["threads"]
        for file in ("batches.csv", "split.csv"):
            assert (runs[0].path / file).read_bytes() == (run.path / file).read_bytes()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's threads are for visionkit to choose."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_torch_s_threads_do_not_hang_on_workers(train: Train, pets: Path) -> None:
    runs = [train(("pets", pets), f"run-{count}", *TRAININGS[0][1], "--workers", count) for count in (0, 2)]
    assert_identical(runs)


@pytest.mark.parametrize(("dataset", "options"), TRAININGS[1:2], indirect=["dataset"])
def test_workers_change_nothing(train: Train, dataset: tuple[str, Path], options: list[object]) -> None:
    runs = [train(dataset, f"run-{workers}", *options, "--workers", workers) for workers in (0, 2)]
    assert_identical(runs)


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("cache", ["off", "auto"])
@pytest.mark.parametrize(("dataset", "options"), TRAININGS, indirect=["dataset"])
def test_any_number_of_workers_with_the_cache_and_without(
    train: Train, dataset: tuple[str, Path], options: list[object], cache: str
) -> None:
    longer = [*options, "--cache", cache, "--epochs", 2]
    runs = [train(dataset, f"run-{workers}", *longer, "--workers", workers) for workers in (0, 1, 2, 3)]
    assert_identical(runs)
    other = train(dataset, "other", *longer, "--workers", 0, "--seed", 43, "--split", "run-0")
    assert not compare_runs(runs[0], other).identical


def test_deterministic_changes_nothing_on_a_cpu(train: Train, pets: Path) -> None:
    runs = [train(("pets", pets), f"run{len(options)}", *options) for options in ([], ["--deterministic"])]
    assert_identical(runs)
    assert [run.info["settings"]["deterministic"] for run in runs] == [False, True]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("cache", ["off", "auto"])
@pytest.mark.parametrize("precision", ["auto", "fp32"])
@pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)
def test_a_gpu_gives_the_same_twice(
    train: Train, dataset: tuple[str, Path], precision: str, cache: str
) -> None:
    options = ["--arch", "resnet18", "--device", "cuda", "--precision", precision, "--cache", cache]
    runs = [
        train(dataset, f"run-{workers}", *options, "--workers", workers, "--deterministic")
        for workers in (0, 2)
    ]
    assert_identical(runs)


def state() -> list[object]:
    cudnn = torch.backends.cudnn
    return [
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.benchmark,
        cudnn.deterministic,
        os.environ.get(CUBLAS),
        len(nn.modules.module._global_forward_hooks),
    ]


@pytest.mark.parametrize(
    ("set_before", "within"), [(None, ":4096:8"), (":16:8", ":16:8"), (":0:0", ":4096:8")]
)
def test_a_gpu_is_left_as_it_was(
    set_before: str | None, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CUBLAS, raising=False)
    if set_before is not None:
        monkeypatch.setenv(CUBLAS, set_before)
    before = state()
    with tuned(GPU), deterministic(GPU, True):
        assert state() == [True, False, False, True, within, before[-1] + 1]
    assert state() == before
    with pytest.raises(KeyError), deterministic(GPU, True):
        raise KeyError
    assert state() == before
    for device, wanted in ((CPU, True), (GPU, False)):
        with deterministic(device, wanted):
            assert state() == before


def test_an_operation_without_such_a_form_is_named() -> None:
    before = state()
    place, value = torch.tensor([0]), torch.tensor([1.0])
    with (
        pytest.raises(VisionkitError, match=r"--deterministic: put_, .*--arch or --loss") as caught,
        deterministic(GPU, True),
    ):
        torch.zeros(3).put_(place, value)
    assert "\n" not in str(caught.value) and state() == before
    with pytest.raises(RuntimeError, match="multiplied"), deterministic(GPU, True):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize("size", [1, (1, 1)])
def test_the_pooling_of_heads_is_the_same_in_another_form(size: object) -> None:
    features = torch.randn(4, 5, 3, 6, requires_grad=True)
    pool = nn.AdaptiveMaxPool2d(size)  # type: ignore[arg-type]
    expected = pool(features)
    (wanted,) = torch.autograd.grad((expected * torch.arange(5.0)[:, None, None]).sum(), features)
    with deterministic(GPU, True):
        found = pool(features)
        (gradient,) = torch.autograd.grad((found * torch.arange(5.0)[:, None, None]).sum(), features)
        assert "AdaptiveMaxPool2D" not in type(found.grad_fn).__name__
        larger = nn.AdaptiveMaxPool2d(2)(features)
    assert torch.equal(found, expected) and torch.equal(gradient, wanted)
    assert torch.equal(larger, functional.adaptive_max_pool2d(features, 2))
