"""Moving batches to a GPU while it computes: from pinned memory, on a stream of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Upload:
    """Moves tensors to `device`, in the thread that makes batches.

    Args:
        device: on a CPU tensors stay what they are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: Any = None
        self._pinned: dict[tuple[torch.Size, torch.dtype], Tensor] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        """`tensor` on the device, complete once this returns; the GPU goes on with its batch meanwhile."""
        if self.device.type != "cuda":
            return tensor.to(self.device)
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)
        key = tensor.shape, tensor.dtype
        if key not in self._pinned:
            self._pinned = {
                key: torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True),
                **self._pinned,
            }
        pinned = self._pinned[key].copy_(tensor)
        with torch.cuda.stream(self._stream):
            moved = pinned.to(self.device, non_blocking=True)
        self._stream.synchronize()  # the pinned memory is free again; only this thread waits
        return moved

    def hand_over(self, tensor: Tensor) -> Tensor:
        """Keep the memory of `tensor`, which was moved here, until the computing stream is done with it."""
        if tensor.device.type == "cuda":
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
        return tensor
