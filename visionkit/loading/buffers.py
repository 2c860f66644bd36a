"""Memory for batches, used again once nobody holds the batch any more."""

from __future__ import annotations

import sys
import threading

import numpy as np
import torch
from torch import Tensor

_ALONE = [np.empty(0)]
_UNUSED = sys.getrefcount(_ALONE[0])
"""References to a buffer that only the list and the question itself hold."""
_SPARE = 8
"""Unused buffers that are kept; there are more only after somebody held many batches at once."""


class Buffers:
    """Gives uninitialised tensors of one shape and type after another.

    Fresh memory for every batch would cost as much as filling it: the system hands it out page by page.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...], dtype: type[np.generic]) -> tuple[np.ndarray, Tensor]:
        """An array and the tensor of the same memory, which is nobody else's as long as the tensor lives."""
        with self._lock:
            unused = [
                place for place in range(len(self._arrays)) if sys.getrefcount(self._arrays[place]) == _UNUSED
            ]
            fitting = [place for place in unused if self._fits(place, shape, dtype)][:1]
            dropped = {place for place in unused[_SPARE:] if place not in fitting}
            dropped |= {place for place in unused if not self._fits(place, (-1, *shape[1:]), dtype)}
            found = self._arrays[fitting[0]] if fitting else np.empty(shape, dtype)
            self._arrays = [each for place, each in enumerate(self._arrays) if place not in dropped]
            if not fitting:
                self._arrays.append(found)
            return found, torch.from_numpy(found)

    def _fits(self, place: int, shape: tuple[int, ...], dtype: type[np.generic]) -> bool:
        """Whether this buffer is of that type and shape; a first side of -1 stands for any."""
        there = self._arrays[place].shape
        first = shape[0] in (-1, there[0])
        return first and there[1:] == shape[1:] and self._arrays[place].dtype == dtype
