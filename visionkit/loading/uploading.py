"""Moving batches to a GPU while it computes: from pinned memory, on a stream of its own."""

from __future__ import annotations

import threading

import torch
from torch import Tensor


class _OfThread(threading.local):
    """What a thread that uploads keeps for itself."""

    def __init__(self) -> None:
        self.stream: torch.cuda.Stream | None = None
        self.pinned: dict[tuple[torch.Size, torch.dtype], Tensor] = {}


class Upload:
    """Moves tensors to `device`; each thread that makes batches has pinned memory and a stream of its own.

    Args:
        device: on a CPU tensors stay what they are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._of_thread = _OfThread()

    def __call__(self, tensor: Tensor) -> Tensor:
        """`tensor` on the device, complete once this returns; the GPU goes on with its batch meanwhile."""
        if self.device.type != "cuda":
            return tensor.to(self.device)
        own = self._of_thread
        if own.stream is None:
            own.stream = torch.cuda.Stream(self.device)
        key = tensor.shape, tensor.dtype
        if key not in own.pinned:
            own.pinned[key] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        pinned = own.pinned[key].copy_(tensor)
        with torch.cuda.stream(own.stream):
            moved = pinned.to(self.device, non_blocking=True)
        own.stream.synchronize()  # the pinned memory is free again; only this thread waits
        return moved

    def hand_over(self, tensor: Tensor) -> Tensor:
        """Keep the memory of `tensor`, which was moved here, until the computing stream is done with it."""
        if tensor.device.type == "cuda":
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
        return tensor
