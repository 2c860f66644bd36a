"""How much memory there is, how much a training step keeps, and whether an error means that it ran out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_TELLING = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")

_GROUPS = [
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
]
"""Limit and use of the control group that a container is, in both versions that Linux has."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a GPU or elsewhere."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _TELLING)


def available_memory() -> int:
    """Bytes that this process may still take of the machine's memory, within its control group."""
    found = [_machine_memory()]
    for files in _GROUPS:
        limit, used = map(_number, files)
        if limit is not None and used is not None:
            found.append(max(0, limit - used))
    return min(found)


def _machine_memory() -> int:
    """Free memory and what the system would give up for it; half of all where it does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # none there, or "max"
        return None


class KeptBytes:
    """A context that adds up, in `bytes`, the memory which a forward pass keeps for its backward pass."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: set[int] = set()
        self._hooks: Any = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def __enter__(self) -> KeptBytes:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor
