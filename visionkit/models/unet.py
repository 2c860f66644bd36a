"""The U-Net that fastai's `unet_learner` trains, in plain layers: same names of weights, same outputs.

fastai's own takes its skip connections with hooks and gives tensors of a class of its own, which neither
torch.export nor ONNX can follow.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class UpBlock(nn.Module):
    """One step up: twice the size, beside it the encoder's map of that size, then two convolutions."""

    def __init__(self, below: int, beside: int, last: bool) -> None:
        super().__init__()
        joined = below // 2 + beside
        channels = joined // 2 if last else joined
        self.shuf = _shuffle(below, below // 2)
        self.bn = nn.BatchNorm2d(beside)
        self.conv1 = _convolution(joined, channels)
        self.conv2 = _convolution(channels, channels)
        self.channels = channels

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        up = _sized(self.shuf(below), beside)
        return self.conv2(self.conv1(functional.relu(torch.cat([up, self.bn(beside)], dim=1))))


class Refinement(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convpath = nn.Sequential(
            _convolution(channels, channels), nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1))
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.convpath(features) + features)


class Unet(nn.Module):
    """A U-Net on `encoder`, of images of any size.

    Args:
        encoder: the body's steps.
        outputs: how many each pixel has.
        skips: the steps of the encoder whose output goes to the steps up, from the lowest.
        shuffle: whether one more step doubles the size, where the encoder's first step halves it.
        size: height and width of an image that the encoder can take; only the channels are learnt from it.

    Raises:
        IndexError: the encoder has no step of a number in `skips`.
    """

    def __init__(
        self,
        encoder: nn.Sequential,
        outputs: int,
        skips: Sequence[int],
        shuffle: bool,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.skips, self.shuffle = tuple(skips), shuffle
        channels = _channels(encoder, size)
        bottom = channels[-1]
        middle = nn.Sequential(_convolution(bottom, 2 * bottom), _convolution(2 * bottom, bottom))
        layers: list[nn.Module] = [encoder, nn.BatchNorm2d(bottom), nn.ReLU(), middle]
        below = bottom
        for number, skip in enumerate(self.skips, start=1):
            block = UpBlock(below, channels[skip], last=number == len(self.skips))
            layers.append(block)
            below = block.channels
        if shuffle:
            layers.append(_shuffle(below, below))
        below += 3  # the image itself
        # Identities keep the places, and so the names, of layers of fastai's that have no weights.
        layers += [nn.Identity(), nn.Identity(), Refinement(below)]
        layers.append(nn.Sequential(nn.Conv2d(below, outputs, 1)))
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        encoder, norm, relu, middle, *above = self.layers
        maps = []
        features = images
        for step in encoder.children():
            features = step(features)
            maps.append(features)
        features = middle(relu(norm(features)))
        for block, skip in zip(above, self.skips):
            features = block(features, maps[skip])
        if self.shuffle:
            features = above[len(self.skips)](features)
        *_, refinement, last = above
        return last(refinement(torch.cat([_sized(features, images), images], dim=1)))


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())


def _shuffle(before: int, after: int) -> nn.Sequential:
    """Twice the size by pixel shuffle."""
    return nn.Sequential(nn.Sequential(nn.Conv2d(before, 4 * after, 1), nn.ReLU()), nn.PixelShuffle(2))


def _sized(features: Tensor, like: Tensor) -> Tensor:
    """`features` at the size of `like`; odd sizes differ by a pixel."""
    varies = any(isinstance(side, torch.SymInt) for side in features.shape[-2:])  # torch.export: any size
    if not varies and features.shape[-2:] == like.shape[-2:]:
        return features
    return functional.interpolate(features, like.shape[-2:], mode="nearest")


def _channels(encoder: nn.Sequential, size: tuple[int, int]) -> list[int]:
    """The channels of the output of each step."""
    channels = []
    with torch.no_grad():
        features = torch.zeros(1, 3, *size, device=next(encoder.parameters()).device)
        for step in encoder.eval().children():
            features = step(features)
            channels.append(int(features.shape[1]))
    return channels
