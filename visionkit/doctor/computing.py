"""What trainings would compute on: processor, GPU, number format and memory."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from visionkit.doctor.findings import Topic
from visionkit.progress import quantity

LITTLE_MEMORY = 2 * 10**9
PATIENCE = 5.0
"""Seconds that a driver has to answer in."""
REINSTALL = "pip install --force-reinstall torch torchvision, in versions that belong together"


def device(topic: Topic) -> None:
    """Processor and GPU, and whether torch can use them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    topic.add("processor", _processor())
    topic.add("cores", f"{cores} of {os.cpu_count()} may be used", cores)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        topic.add("OMP_NUM_THREADS", threads)
    driver = _driver(topic)
    torch = _torch(topic)
    if torch is None:
        return
    topic.add("threads", f"{torch.get_num_threads()} of torch", torch.get_num_threads())
    topic.add(
        "torch's CUDA", torch.version.cuda or "none: this torch computes on the CPU", torch.version.cuda or ""
    )
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            major, minor = about.major, about.minor
            size = quantity(int(about.total_memory), "bytes")
            topic.add(f"cuda:{number}", f"{about.name}, {size}, compute capability {major}.{minor}")
        topic.add("trainings run on", "cuda")
        return
    apple = torch.backends.mps.is_available()
    topic.add("trainings run on", "mps" if apple else "cpu")
    if driver is not None:
        _unused(topic, torch, driver)


def _unused(topic: Topic, torch: Any, driver: str) -> None:
    """Why torch does not use the GPU that there is."""
    get = "https://pytorch.org/get-started/locally/"
    built = torch.version.cuda
    if built is None:
        topic.wrong(
            "this machine has a GPU, and torch is built without CUDA, so trainings run on the CPU",
            f"install a torch with CUDA: {get}",
        )
    elif _numbers(built)[:1] > _numbers(driver)[:1]:
        topic.wrong(
            f"torch cannot use the GPU: it is built for CUDA {built}, and the driver is for {driver}",
            f"update the driver, or install a torch for its CUDA: {get}",
        )
    else:
        topic.wrong(
            "torch cannot use the GPU that the driver knows",
            "see whether $CUDA_VISIBLE_DEVICES or the container hides it",
        )


def precision(topic: Topic) -> None:
    """The number format that `--precision auto` takes here."""
    from visionkit.devices import auto_precision, resolve_device

    taken, reason = auto_precision(resolve_device("auto"))
    topic.add("auto is", f"{taken}: {reason}", taken)


def memory(topic: Topic) -> None:
    """The machine's memory, as far as this process may have it."""
    if hasattr(os, "sysconf"):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        topic.add("of the machine", quantity(total, "bytes"), total)
    from visionkit.training.memory import available_memory

    free = available_memory()
    topic.add("available", quantity(free, "bytes"), free)
    if free < LITTLE_MEMORY:
        topic.wrong(
            f"only {quantity(free, 'bytes')} of memory are available",
            "end other programs, or train with a smaller --bs and --workers 0",
        )
    shared = Path("/dev/shm")  # where loader processes leave their batches
    if shared.is_dir():
        room = shutil.disk_usage(shared).free
        topic.add("shared (/dev/shm)", quantity(room, "bytes"), room)
        if room < 1 << 28:
            topic.wrong(
                f"/dev/shm has only {quantity(room, 'bytes')}, too few for batches of loader processes",
                "start the container with a larger --shm-size, or train with --workers 0",
            )


def _torch(topic: Topic) -> Any:
    """The module, where it and torchvision can be imported."""
    try:
        import torch
    except Exception as error:
        topic.wrong(f"torch cannot be imported ({_line(error)})", REINSTALL, stops=True)
        return None
    try:
        import torchvision  # noqa: F401  (it must fit torch)
    except Exception as error:
        topic.wrong(f"torchvision cannot be imported ({_line(error)})", REINSTALL, stops=True)
    return torch


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _driver(topic: Topic) -> str | None:
    """The CUDA that NVIDIA's driver is for; None where there is no driver with a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        told = subprocess.run(
            [program], capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=True
        ).stdout
    except subprocess.TimeoutExpired:
        topic.wrong("NVIDIA's driver does not answer", "see nvidia-smi; starting the machine anew may help")
        return None
    except (OSError, subprocess.SubprocessError):
        topic.wrong("nvidia-smi is there and fails", "see what it says; without a GPU, nothing needs it")
        return None
    version = re.search(r"Driver Version:\s*([\d.]+)", told)
    cuda = re.search(r"CUDA (?:UMD )?Version:\s*([\d.]+)", told)
    topic.add("driver", f"{version[1] if version else '?'}, for CUDA {cuda[1] if cuda else '?'}")
    return cuda[1] if cuda else "?"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
