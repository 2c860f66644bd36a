"""A network made ready to answer fast: same weights, other memory layout, fewer layers, a number format."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops import Conv2dNormActivation

from visionkit.devices import cpu_has_bf16
from visionkit.errors import UsageError
from visionkit.models.unet import Unet

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""What a prediction is computed in."""
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MULTIPLYING = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def precision_on(precision: Precision, device: torch.device) -> Precision:
    """fp32, bf16 or fp16: `auto` takes bf16 where the device computes in it natively, else fp32.

    Raises:
        UsageError: the device cannot compute in this format.
    """
    if precision not in get_args(Precision):
        raise UsageError(f"--precision {precision}: give one of {', '.join(get_args(Precision))}.")
    cuda = device.type == "cuda"
    if precision == "auto":
        native = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else cpu_has_bf16()
        return "bf16" if native and device.type in ("cpu", "cuda") else "fp32"
    if precision == "fp16" and not cuda:
        raise UsageError(f"--precision fp16: needs a CUDA GPU, and the device is {device.type}.")
    if precision == "bf16" and cuda and not torch.cuda.is_bf16_supported():
        raise UsageError("--precision bf16: this GPU has no bf16; use fp16 or fp32.")
    if precision == "bf16" and device.type == "mps":
        raise UsageError("--precision bf16: is for CPUs and CUDA GPUs; use fp32.")
    return precision


def prepared(model: nn.Module, device: torch.device, precision: Precision = "fp32") -> nn.Module:
    """A copy of `model` for many images; `model` itself where nothing is gained.

    On a CPU, batch normalisation becomes part of the convolution before it, and channels lie innermost in
    memory. In fp32, answers are the same but for rounding.

    Args:
        model: in evaluation mode, on `device`.
        device: what it computes on.
        precision: of `precision_on`; not "auto".
    """
    if device.type != "cpu" and precision == "fp32":
        return model
    own = deepcopy(model)
    if device.type == "cpu":
        _fold(own)
    # of GPUs, only the convolutions in half precision are made for this layout
    own = own.to(memory_format=torch.channels_last)
    return own if precision == "fp32" else _Autocast(own, device, _TYPES[precision])


class _Autocast(nn.Module):
    """Convolutions and linear layers in 16 bits; what autocast keeps in 32 stays so."""

    def __init__(self, model: nn.Module, device: torch.device, kind: torch.dtype) -> None:
        super().__init__()
        self.model, self.device, self.kind = model, device, kind
        for layer in model.modules():
            if type(layer) in _MULTIPLYING:  # else autocast would convert the weights in every batch
                layer.to(kind)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.kind):
            outputs: Tensor = self.model(images)
        return outputs.float()


def _fold(model: nn.Module) -> None:
    """Fold each batch normalisation that stands directly behind a convolution in a sequence."""
    skipping = model.layers[0] if isinstance(model, Unet) else None  # its single steps are seen from outside
    for sequence in model.modules():
        if sequence is skipping or type(sequence) not in (nn.Sequential, Conv2dNormActivation):
            continue
        names = list(sequence._modules)
        for first, second in pairwise(names):
            convolution, norm = sequence._modules[first], sequence._modules[second]
            if (
                type(convolution) is nn.Conv2d
                and type(norm) is nn.BatchNorm2d
                and norm.track_running_stats
                and not (convolution._forward_hooks or norm._forward_hooks)
            ):
                sequence._modules[first] = fuse_conv_bn_eval(convolution, norm)
                sequence._modules[second] = nn.Identity()
