"""Which device to compute on; free of fastai, whose import takes seconds."""

from __future__ import annotations

import os
from typing import Literal

import torch

from visionkit.distributed.started import local_rank
from visionkit.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """The device that `name` means; `auto` is the GPU where there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _own_gpu())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not a device; give auto, cpu, cuda, cuda:1 or mps.") from None
    gpus = torch.cuda.device_count()
    if device == torch.device("cuda") and gpus and local_rank() is not None:
        device = torch.device("cuda", _own_gpu())
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise UsageError(
            f"--device {name}: there is no such GPU here ({gpus} found); use --device auto or cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: Apple's GPU is not to be had here; use --device auto or cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: visionkit trains on cpu, cuda and mps.")
    return device


def _own_gpu() -> int:
    """The current GPU; of processes that torchrun has started, each has its own.

    Where a process sees one GPU only, as schedulers arrange it, that is its own.

    Raises:
        UsageError: there are fewer GPUs than processes.
    """
    place, gpus = local_rank(), torch.cuda.device_count()
    if place is None:
        return torch.cuda.current_device()
    if gpus == 1:
        return 0
    if place >= gpus:
        raise UsageError(
            f"--device: {gpus} GPUs are here, and torchrun has started more processes on this host. Start "
            f"{gpus} (--nproc-per-node), or give --device cpu."
        )
    return place


def auto_precision(device: torch.device) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
    """The number format that `--precision auto` means on `device`, and why: bf16 where the device computes in
    it natively, fp16 on older GPUs, else fp32.
    """
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "the GPU computes in it"
        return "fp16", "the GPU is too old for bf16"
    if device.type == "cpu" and cpu_has_bf16():
        return "bf16", "the processor has AVX512-BF16 or AMX-BF16"
    return (
        "fp32",
        "the processor would only emulate bf16" if device.type == "cpu" else "the device has no better",
    )


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 (AVX512-BF16 or AMX-BF16) rather than emulating it."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
