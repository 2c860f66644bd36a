"""The states of all random number generators, as tensors and numbers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def random_states() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Where Python's, NumPy's and torch's generators are, with those of all GPUs."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(np.array(keys, dtype=np.int64))}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"cuda.{number}"] = state
    values = {
        "python": [version, list(numbers), gauss],
        "numpy": [str(name), int(position), int(has_gauss), float(cached)],
    }
    return tensors, values


def set_random_states(tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Set the generators to `random_states()`; of GPUs, those that are there now as well."""
    version, numbers, gauss = values["python"]
    name, position, has_gauss, cached = values["numpy"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            if f"cuda.{number}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda.{number}"], number)
