"""Cutting a classification network down to its body: the layers up to the last feature map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

HEAD_LAYERS = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AvgPool2d,
    nn.MaxPool2d,
    nn.Dropout,
    nn.Identity,
)


class TokenMap(nn.Module):
    """A vision transformer's body, whose patch tokens are given as a feature map: batch x channels x rows x
    columns.
    """

    def __init__(self, transformer: VisionTransformer) -> None:
        super().__init__()
        self.conv_proj = transformer.conv_proj
        self.encoder = transformer.encoder
        self.class_token = transformer.class_token
        self.hidden_dim = transformer.hidden_dim

    def forward(self, images: Tensor) -> Tensor:
        patches = self.conv_proj(images)
        batch, channels, rows, columns = patches.shape
        tokens = patches.flatten(2).transpose(1, 2)
        encoded = self.encoder(torch.cat([self.class_token.expand(batch, -1, -1), tokens], dim=1))
        return encoded[:, 1:].transpose(1, 2).reshape(batch, channels, rows, columns)


def feature_body(model: nn.Module, size: int = 224) -> nn.Sequential:
    """The top-level layers of `model`, in the order in which they run, up to its last feature map.

    One image is sent through the network: layers that do not run in evaluation (auxiliary heads) and those
    after the last map of more than one pixel (pooling, classifier) are left out. A network on the "meta"
    device, which has shapes and no values, is cut as well.
    """
    if isinstance(model, VisionTransformer):
        return nn.Sequential(TokenMap(model))
    ran: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda module, _, output: ran.append((module, output)))
        for layer in model.children()
    ]
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size, device=next(model.parameters()).device))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    maps = [index for index, (_, output) in enumerate(ran) if output.ndim == 4 and output.shape[-1] > 1]
    layers = [layer for layer, _ in ran[: maps[-1] + 1]]
    while isinstance(layers[-1], HEAD_LAYERS):
        layers.pop()
    return nn.Sequential(*layers)
