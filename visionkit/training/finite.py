"""Whether a network's weights are numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def weights_are_finite(model: nn.Module) -> bool:
    """Whether no parameter of `model` holds NaN or infinity; BatchNorm's statistics count as well.

    Other buffers do not: an attention's mask may hold infinities.
    """
    norms = (module for module in model.modules() if isinstance(module, _NormBase))
    statistics = (buffer for norm in norms for buffer in norm.buffers(recurse=False))
    return all_finite((*model.parameters(), *statistics))


@torch.no_grad()
def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether no tensor holds NaN or infinity; integers never do."""
    floats = [value.detach() for value in values if value.is_floating_point() and value.numel()]
    if not floats:
        return True
    largest = torch._foreach_norm(floats, float("inf"))
    return bool(torch.isfinite(torch.stack([norm.float() for norm in largest])).all())
