"""A network from its description: as it was trained, without fastai."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from visionkit.models.architectures import Architecture
from visionkit.models.heads import HeadLayer, Width, build_head
from visionkit.models.unet import Unet

Side = Annotated[int, Field(ge=1, le=16_384)]
Size = Annotated[list[Side], Field(min_length=2, max_length=2)]
"""Height and width in pixels."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


class ClassifierNetwork(BaseModel):
    """A body and a head of the layers in `head`."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["classifier"] = "classifier"
    arch: Name
    library: Literal["torchvision", "timm", "visionkit"]
    outputs: Width
    head: Annotated[list[HeadLayer], Field(min_length=1, max_length=100)]


class UnetNetwork(BaseModel):
    """A U-Net; see `visionkit.models.unet.Unet` for `skips` and `shuffle`."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["unet"] = "unet"
    arch: Name
    library: Literal["torchvision", "timm", "visionkit"]
    outputs: Width
    skips: Annotated[list[Annotated[int, Field(ge=0, le=1000)]], Field(max_length=100)]
    shuffle: bool


Network = ClassifierNetwork | UnetNetwork


class TimmBody(nn.Module):
    """A network of timm without its head; a feature map where the network pools one, else its features."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.pools = model.default_cfg.get("pool_size") is not None  # type: ignore[union-attr,operator]
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = (
            self.model.forward_features(images)  # type: ignore[operator]
            if self.pools
            else self.model(images)
        )
        return features


def build_network(network: Network, size: tuple[int, int]) -> nn.Module:
    """The network that `network` describes, with random weights, in evaluation mode.

    Within `torch.device("meta")` it has names and shapes only, and takes no memory.

    Args:
        network: of a bundle.
        size: height and width of the images that it takes.

    Raises:
        ValueError, IndexError: the description contradicts itself.
        UsageError: the architecture cannot be the body of a U-Net.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # torchvision's, of its initial weights
        return _built(network, size).eval()


def _built(network: Network, size: tuple[int, int]) -> nn.Module:
    arch = Architecture(network.arch, network.library)
    if isinstance(network, UnetNetwork):
        return Unet(arch.encoder(arch.build()), network.outputs, network.skips, network.shuffle, size)
    if network.library == "timm":
        import timm

        body: nn.Module = TimmBody(timm.create_model(network.arch, pretrained=False, num_classes=0))
    else:
        body = arch.body(arch.build())
    return nn.Sequential(body, build_head(network.head))


def network_shapes(network: Network, size: tuple[int, int]) -> nn.Module:
    """As `build_network`, with names and shapes only: it takes no memory, whatever `network` says."""
    try:
        with torch.device("meta"):
            return build_network(network, size)
    except RuntimeError:  # regnets compute their widths with tensors, which have no values there
        with _WeightsOnMeta():
            return build_network(network, size)


class _WeightsOnMeta(TorchFunctionMode):
    """The "meta" device for what layers make their weights with, and for nothing else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def network_with(
    network: Network, size: tuple[int, int], state: Mapping[str, Tensor], shapes: nn.Module | None = None
) -> nn.Module:
    """The network with the weights in `state`, which it shares, in evaluation mode and without gradients.

    `shapes` is what `network_shapes` gave for it, where that is there; it is filled and returned.

    Raises:
        RuntimeError: `state` is of another network.
    """
    if network.library == "timm":  # whose networks hold values beside their weights
        model = build_network(network, size)
        model.load_state_dict(state)
    else:
        model = shapes if shapes is not None else network_shapes(network, size)
        model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)
