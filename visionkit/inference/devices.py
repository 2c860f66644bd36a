"""Which device a network answers on; free of fastai, whose import takes seconds."""

from __future__ import annotations

import torch

from visionkit.errors import UsageError


def answering_device(name: str) -> torch.device:
    """The device that `name` means; `auto` is the GPU where there is one.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not a device; give auto, cpu, cuda, cuda:1 or mps.") from None
    found = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device.type not in found:
        raise UsageError(f"--device {name}: give auto, cpu, cuda, cuda:1 or mps.")
    if (device.index or 0) >= found[device.type]:
        raise UsageError(f"--device {name}: there is no such device here; use --device auto or cpu.")
    return device
