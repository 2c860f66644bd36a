"""A small VGG-like network to train from scratch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visionkit.errors import UsageError

CHANNELS = (32, 64, 128, 128)


LEAST = 2 ** len(CHANNELS)
"""Pixels of the smallest side that leaves one after every block's pooling."""


class SmallVgg(nn.Module):
    """Four blocks of convolution, batch normalisation, ReLU and pooling, then one linear layer.

    As the networks of the Keras tutorials on little data (Chollet: "Building powerful image classification
    models using very little data", 2016, and section 5.2 of "Deep Learning with Python", 2017), whose last
    form has these channels. Unlike them it normalises batches, which lets it train at the rates of the
    one-cycle policy, and pools globally, so that it takes images of any size from 16 pixels.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = _Blocks(*map(_block, (3, *CHANNELS), CHANNELS))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(CHANNELS[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(images)), 1))
        return logits


class _Blocks(nn.Sequential):
    """The blocks, which say what is wrong with images that are too small for them."""

    def forward(self, images: Tensor) -> Tensor:
        least = min(images.shape[-2:])
        if least < LEAST:
            raise UsageError(
                f"small_vgg takes images of {LEAST} pixels and more, not of {least}. Raise --size."
            )
        features: Tensor = super().forward(images)
        return features


def _block(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)  # the normalisation has a bias
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True), nn.MaxPool2d(2))
