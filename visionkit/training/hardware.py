"""Which device a training runs on, and in which number format."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.learner import Learner
from fastai.torch_core import to_float

from visionkit.devices import auto_precision, usable_cores
from visionkit.distributed.started import started_here
from visionkit.errors import UsageError
from visionkit.setting_types import Precision


def resolve_workers(workers: int | Literal["auto"], device: torch.device) -> int:
    """Processes that load images: beside a GPU one for each core (16 at most), beside the CPU a quarter of
    them. Where several processes train on this host, they share its cores.
    """
    if workers != "auto":
        return workers
    cores = max(1, usable_cores() // started_here())
    return max(1, cores // 4) if device.type == "cpu" else min(cores, 16)


@contextmanager
def shared_cores(device: torch.device, workers: int, threads: int | None = None) -> Iterator[None]:
    """Leave `workers` processes or threads a core each meanwhile: on a CPU, torch computes with those left.

    At least one is. More busy threads than cores make a training many times slower, since all threads wait
    for each other after every layer. `$OMP_NUM_THREADS` is respected where it is set; `threads`, where given,
    are taken in any case.

    A training leaves as many as `resolve_workers` has by default, whatever its setting is: with another
    number of threads sums come out with other last digits.
    """
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    elif device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() - workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def tuned(device: torch.device) -> Iterator[None]:
    """On a GPU, let cuDNN try which of its ways is the fastest for each shape, and fp32 be multiplied as TF32
    meanwhile; afterwards all is as it was.

    That pays where shapes repeat, as the batches of a stage do.
    """
    if device.type != "cuda":
        yield
        return
    backends: Any = torch.backends
    places = backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn
    before = backends.cudnn.benchmark, [place.fp32_precision for place in places]
    try:
        backends.cudnn.benchmark = True
        for place in places:
            place.fp32_precision = "tf32"
        yield
    finally:
        backends.cudnn.benchmark = before[0]
        for place, value in zip(places, before[1]):
            place.fp32_precision = value


def device_name(device: torch.device) -> str:
    """The device for people: the GPU's name, or "cpu (2 threads)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'' if threads == 1 else 's'})" if device.type == "cpu" else str(device)


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """fp32, bf16 or fp16: `auto` takes bf16 where the device computes in it natively, fp16 on older GPUs,
    else fp32.

    Raises:
        UsageError: the device cannot train in this format.
    """
    if precision == "auto":
        return auto_precision(device)[0]
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(
            f"--precision fp16: needs a CUDA GPU, and the device is {device.type}; use bf16 or fp32."
        )
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UsageError("--precision bf16: this GPU has no bf16; use fp16 or fp32.")
    return precision


def channels_innermost(precision: Precision, device: torch.device) -> bool:
    """Whether images and weights should lie with the channels innermost in memory.

    On CPUs that was measured to be faster in fp32 (resnet18 by a twentieth, squeezenet1_0 by a third) and in
    bf16 (by a seventh, by two thirds); the convolutions of GPUs in half precision are made for it.
    """
    return device.type == "cpu" or (device.type == "cuda" and precision in ("bf16", "fp16"))


def precision_callbacks(precision: Precision, device: torch.device) -> list[Callback]:
    """The callbacks that make a Learner compute in `precision`: none for fp32."""
    if precision == "fp32":
        return []
    if device.type == "cuda":
        return [MixedPrecision(AMPMode(precision))]
    return [Autocast(device.type)]


class Autocast(Callback):
    """bf16 for the forward pass on devices for which fastai's `MixedPrecision` has none; the loss stays in
    fp32.
    """

    order = MixedPrecision.order

    def __init__(self, device_type: str) -> None:
        self.device_type = device_type
        self._entered: torch.autocast | None = None

    def before_batch(self) -> None:
        self._entered = torch.autocast(self.device_type, dtype=torch.bfloat16)
        self._entered.__enter__()

    def after_pred(self) -> None:
        self.leave()
        self.learn.pred = to_float(self.pred)

    def leave(self) -> None:
        """Switch autocast off; needed where a forward pass was interrupted, and harmless otherwise."""
        if self._entered is not None:
            self._entered.__exit__(None, None, None)
            self._entered = None


def leave_autocast(learn: Learner) -> None:
    """Switch autocast off where an error in the midst of a batch of `learn` has left it on."""
    for callback in learn.cbs:
        if isinstance(callback, Autocast):
            callback.leave()
        elif isinstance(callback, MixedPrecision) and torch.is_autocast_enabled("cuda"):
            callback.autocast.__exit__(None, None, None)
