"""Devices and number formats."""

from __future__ import annotations

import pytest
import torch
from fastai.callback.fp16 import MixedPrecision

from visionkit import devices
from visionkit.devices import resolve_device
from visionkit.errors import UsageError
from visionkit.setting_types import Precision
from visionkit.training import hardware
from visionkit.training.hardware import Autocast, precision_callbacks, resolve_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp32")])
def test_cpu_computes_in_bf16_where_it_can(has: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: has)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16"), (False, "fp16")])
def test_gpu_computes_in_half_precision(has: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has)
    assert resolve_precision("auto", GPU) == expected
    (callback,) = precision_callbacks(resolve_precision("auto", GPU), GPU)
    assert isinstance(callback, MixedPrecision) and callback.amp_mode.value == expected


def test_gpu_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(UsageError, match="bf16"):
        resolve_precision("bf16", GPU)


def test_device_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert resolve_device("auto") == GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type in ("cpu", "mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_no_such_device(name: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        resolve_device(name)


def test_autocast_computes_in_bf16_and_is_left() -> None:
    callback = Autocast("cpu")
    callback.before_batch()
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    callback.leave()
    callback.leave()
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_gpu_is_tuned_and_left_as_it_was() -> None:
    backends = torch.backends
    places = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]

    def found() -> list[object]:
        return [backends.cudnn.benchmark, *(place.fp32_precision for place in places)]

    before = found()
    with hardware.tuned(CPU):
        assert found() == before
    with hardware.tuned(GPU):
        assert found() == [True, "tf32", "tf32", "tf32"]
    assert found() == before


@pytest.mark.parametrize(
    ("device", "precision", "innermost"),
    [(CPU, "fp32", True), (CPU, "bf16", True), (GPU, "fp16", True), (GPU, "fp32", False)],
)
def test_memory_format(device: torch.device, precision: Precision, innermost: bool) -> None:
    assert hardware.channels_innermost(precision, device) is innermost
    assert not hardware.channels_innermost(precision, torch.device("mps"))


def test_threads_are_shared_out_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 4)
    before = torch.get_num_threads()
    with hardware.shared_cores(CPU, workers=3):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with hardware.shared_cores(CPU, workers=3):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("cores", "beside_cpu", "beside_gpu"), [(1, 1, 1), (2, 1, 2), (8, 2, 8), (64, 16, 16)]
)
def test_workers_follow_the_cores(
    cores: int, beside_cpu: int, beside_gpu: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "usable_cores", lambda: cores)
    assert hardware.resolve_workers("auto", CPU) == beside_cpu
    assert hardware.resolve_workers("auto", GPU) == beside_gpu
    assert hardware.resolve_workers(3, CPU) == 3
