"""Heads of classifiers as lists of plain layers: what fastai's `create_head` makes, without fastai."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

Width = Annotated[int, Field(ge=1, le=10_000_000)]


class HeadLayer(BaseModel):
    """One layer of a head.

    Args:
        layer: `concat-pool` gives the maximum and the mean of each channel; `points` is linear, then a
            sigmoid to -1 to 1.
        inputs: of `linear` and `points`, or the features of `batch-norm`; None for the others.
        outputs: of `linear` and `points`.
        bias: whether `linear` has one.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    layer: Literal["concat-pool", "flatten", "batch-norm", "dropout", "linear", "relu", "points"]
    inputs: Width | None = None
    outputs: Width | None = None
    bias: bool = True

    @model_validator(mode="after")
    def _whole(self) -> HeadLayer:
        """Layers with weights say how many they have, and the others do not."""
        ends = {"linear": 2, "points": 2, "batch-norm": 1}.get(self.layer, 0)
        given = [self.inputs is not None, self.outputs is not None]
        if given != [ends >= 1, ends == 2]:
            raise ValueError(
                f"{self.layer} has {('neither inputs nor', 'inputs and no', 'inputs and')[ends]} outputs"
            )
        return self


class ConcatPool(nn.Module):
    """The maximum of each channel over the feature map, then the mean of each: fastai's pooling."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat(
            [functional.adaptive_max_pool2d(features, 1), functional.adaptive_avg_pool2d(features, 1)], dim=1
        )


class PointOutput(nn.Module):
    """The last linear layer, then a sigmoid to -1 to 1; always computed in float32.

    bf16 has 8 binary digits: among 640 pixels it would only tell every second or third.

    Args:
        linear: the layer whose parameters it takes over, under the same names.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, features: Tensor) -> Tensor:
        kind = features.device.type
        if not torch.is_autocast_enabled(kind):
            return self._points(features)
        with torch.autocast(kind, enabled=False):
            return self._points(features)

    def _points(self, features: Tensor) -> Tensor:
        return 2 * torch.sigmoid(functional.linear(features.float(), self.weight, self.bias)) - 1


def build_head(layers: Sequence[HeadLayer]) -> nn.Sequential:
    """The head that `layers` describe, with random weights."""
    return nn.Sequential(*map(_module, layers))


def describe_head(head: nn.Sequential) -> list[HeadLayer]:
    """What `head`, made by fastai's `create_head` or here, consists of.

    Raises:
        ValueError: there is a layer that has no name here.
    """
    return [_described(module) for module in head]


def _module(layer: HeadLayer) -> nn.Module:
    match layer.layer:
        case "concat-pool":
            return ConcatPool()
        case "flatten":
            return nn.Flatten()
        case "batch-norm":
            return nn.BatchNorm1d(layer.inputs or 0)
        case "dropout":
            return nn.Dropout()
        case "relu":
            return nn.ReLU(inplace=True)
        case _:
            linear = nn.Linear(layer.inputs or 0, layer.outputs or 0, bias=layer.bias)
            return PointOutput(linear) if layer.layer == "points" else linear


def _described(module: nn.Module) -> HeadLayer:
    match module:
        case PointOutput():
            outputs, inputs = module.weight.shape
            return HeadLayer(layer="points", inputs=inputs, outputs=outputs, bias=module.bias is not None)
        case nn.Linear():
            bias = module.bias is not None
            return HeadLayer(
                layer="linear", inputs=module.in_features, outputs=module.out_features, bias=bias
            )
        case nn.BatchNorm1d():
            return HeadLayer(layer="batch-norm", inputs=module.num_features)
        case nn.Dropout():
            return HeadLayer(layer="dropout")
        case nn.ReLU():
            return HeadLayer(layer="relu")
    names = {"AdaptiveConcatPool2d": "concat-pool", "ConcatPool": "concat-pool", "Flatten": "flatten"}
    name = type(module).__name__  # fastai's own layers, which are not to be imported here
    if name not in names:
        raise ValueError(f"the head has a layer of the kind {name}")
    return HeadLayer.model_validate({"layer": names[name]})
