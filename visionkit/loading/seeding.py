"""Random numbers that hang on a seed alone, and leave those of the process as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*numbers: int) -> int:
    """A seed for these numbers, none of which is negative; those of neighbours have nothing in common."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Random numbers of Python, NumPy and torch from `seed`; afterwards those that would have come anyway.

    Args:
        seed: not negative, and of 64 bits at most.
        device: a GPU whose random numbers are to come from it too.
    """
    gpu = device if device is not None and device.type == "cuda" else None
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    of_gpu = None if gpu is None else torch.cuda.get_rng_state(gpu)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.random.default_generator.manual_seed(seed)  # torch.manual_seed would seed all GPUs
    if gpu is not None:
        with torch.cuda.device(gpu):
            torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
        if gpu is not None and of_gpu is not None:
            torch.cuda.set_rng_state(of_gpu, gpu)
