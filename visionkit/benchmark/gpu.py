"""Waiting for a GPU, and how busy it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from statistics import mean

import torch

EVERY = 0.2
"""Seconds between two looks at the GPU."""


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done all that it was given; a CPU has, always."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Utilisation:
    """A context in which the driver is asked now and then how busy the GPU is.

    Args:
        device: whose figures; only those of CUDA GPUs can be had, and only where pynvml is installed.
        counts: whether what the driver says at this moment is kept.
    """

    def __init__(self, device: torch.device, counts: Callable[[], bool]) -> None:
        self.device, self.counts = device, counts
        self.samples: list[int] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def percent(self) -> float | None:
        """The share of the time in which the GPU computed; None where nobody knows."""
        return mean(self.samples) if self.samples else None

    def __enter__(self) -> Utilisation:
        if self.device.type == "cuda" and find_spec("pynvml") is not None:
            self._thread = threading.Thread(target=self._look, name="utilisation", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            if not self.counts():
                continue
            try:
                self.samples.append(torch.cuda.utilization(self.device))
            except Exception:  # NVML has errors of its own: then there is no figure, and the rest goes on
                return
