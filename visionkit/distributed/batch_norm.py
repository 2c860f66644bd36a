"""BatchNorm over the images of all processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SMALL = 16
"""Images of a process below which its own statistics are too rough (Wu and He, "Group Normalization", ECCV
2018, figure 1: BatchNorm's error grows below 16 images)."""


class SyncedBatchNorm(_BatchNorm):
    """BatchNorm whose means and variances in training are those of all processes' images together.

    Torch has such a layer for GPUs only; this one computes with whatever the processes exchange tensors with.
    """

    process_group: Any = None

    def _check_input_dim(self, value: Tensor) -> None:
        if value.dim() < 2:
            raise ValueError(f"expected 2 dimensions at least, got {value.dim()}")

    def forward(self, value: Tensor) -> Tensor:
        if not self.training:
            return super().forward(value)
        dims = [dim for dim in range(value.dim()) if dim != 1]
        shape = [1, -1, *[1] * (value.dim() - 2)]
        numbers = value if value.dtype == torch.float64 else value.float()
        count = torch.tensor([numbers.numel() / numbers.shape[1]]).to(numbers)
        sums = self._over_all(torch.cat([numbers.sum(dims), count]))
        count, mean = sums[-1].detach(), sums[:-1] / sums[-1].detach()
        apart = numbers - mean.view(shape)
        variance = self._over_all((apart**2).sum(dims)) / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        made = apart * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            made = made * self.weight.view(shape) + self.bias.view(shape)
        return made.to(value.dtype)

    def _over_all(self, value: Tensor) -> Tensor:
        summed: Tensor = _Sum.apply(value, self.process_group)
        return summed

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        part = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, part)
        self.running_var.lerp_(variance, part)


class _Sum(torch.autograd.Function):
    """The sum over all processes; what each of them makes of it counts for all."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _added(value, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _added(gradients[0], ctx.group), None


def _added(value: Tensor, group: Any) -> Tensor:
    total = value.detach().clone().contiguous()
    dist.all_reduce(total, group=group)
    return total


@contextmanager
def synced_batch_norm(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Let all BatchNorm layers of `model` see the images of all processes meanwhile.

    The layers stay the objects that they are, with their hooks: only what they compute is another.
    """
    layers: list[Any] = [each for each in model.modules() if type(each) in _KINDS]
    before = [type(each) for each in layers]
    group = dist.new_group()  # beside the gradients, which are exchanged meanwhile
    for layer in layers:
        layer.process_group = group
        layer.__class__ = nn.SyncBatchNorm if device.type == "cuda" else SyncedBatchNorm
    try:
        yield
    finally:
        for layer, kind in zip(layers, before):
            layer.__class__ = kind
            del layer.process_group


def unsynced(model: nn.Module) -> list[str]:
    """The kinds of BatchNorm in `model` that `synced_batch_norm` leaves alone, such as timm's own."""
    found = {type(each) for each in model.modules() if isinstance(each, _BatchNorm)}
    return sorted(kind.__name__ for kind in found - {*_KINDS, SyncedBatchNorm, nn.SyncBatchNorm})


_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
