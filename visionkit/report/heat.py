"""Where a classifier looked: Grad-CAM, by captum.

Selvaraju and others, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
2017: the last feature maps, weighted by how much the class' logit gains from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
from torch import Tensor, nn

from visionkit.inference.preprocessing import Window

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor
    from visionkit.report.pictures import Album, Picture

SIDE = 48
"""Pixels of a heat map's sides; browsers enlarge it smoothly."""
_LEVELS = 64
_BATCH = 8
_OPAQUE = 190
"""Of 255, where it is hottest."""


class Heat:
    """A heat map as a picture of the page, and where it lies over the image, in per cent of its sides."""

    def __init__(self, picture: Picture, window: Window, size: tuple[int, int]) -> None:
        self.picture = picture
        width, height = size
        self.left, self.width = 100 * window.left / width, 100 * window.width / width
        self.top, self.height = 100 * window.top / height, 100 * window.height / height


def heat_maps(
    predictor: Predictor, images: Sequence[Path], classes: Sequence[int], album: Album
) -> list[Heat | None]:
    """A map for each image: what spoke for the class at the same place of `classes`.

    None where the network has no feature maps (as transformers have not), or the page no room.
    """
    layer = last_maps(predictor)
    if layer is None:
        return [None] * len(images)
    found: list[Heat | None] = []
    for start in range(0, len(images), _BATCH):
        some = [predictor.input_of(image) for image in images[start : start + _BATCH]]
        inputs = torch.stack([each for each, _ in some]).to(predictor.device)
        maps = _grad_cam(predictor.model, layer, inputs, classes[start : start + _BATCH])
        for values, (_, size) in zip(maps, some):
            picture = album.layer((values * (_LEVELS - 1)).round().astype(int), _palette())
            window = predictor.preprocessing.window(*size)
            found.append(None if picture is None else Heat(picture, window, size))
    return found


def last_maps(predictor: Predictor) -> nn.Module | None:
    """The last module that gives feature maps as large as those of the network's last convolution.

    Convolutions that cut an image up without overlap do not count: those of transformers do nothing else.
    None where there is no other.
    """
    outputs: list[tuple[nn.Module, torch.Size]] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        outputs.append((module, output.shape if isinstance(output, Tensor) else torch.Size()))

    leaves = [each for each in predictor.model.modules() if not list(each.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad():
            predictor.model(torch.zeros(1, 3, *predictor.preprocessing.size, device=predictor.device))
    finally:
        for hook in hooks:
            hook.remove()
    shapes = [
        shape
        for module, shape in outputs
        if isinstance(module, nn.Conv2d) and not _cuts(module) and len(shape) == 4 and min(shape[2:]) > 1
    ]
    if not shapes:
        return None
    return [module for module, shape in outputs if shape == shapes[-1]][-1]


def _cuts(convolution: nn.Conv2d) -> bool:
    """Whether its windows lie side by side, of more than a pixel each."""
    return convolution.kernel_size == convolution.stride and max(convolution.kernel_size) > 1


def _grad_cam(model: nn.Module, layer: nn.Module, inputs: Tensor, targets: Sequence[int]) -> np.ndarray:
    """The maps of a batch, each from 0 to 1, shape (images, SIDE, SIDE)."""
    from captum.attr import LayerAttribution, LayerGradCam

    with torch.enable_grad():
        explained = LayerGradCam(model, layer)
        found = explained.attribute(inputs.requires_grad_(), target=list(targets), relu_attributions=True)
    maps = LayerAttribution.interpolate(found.detach().float(), (SIDE, SIDE), "bilinear")[:, 0].cpu().numpy()
    return np.asarray(np.nan_to_num(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)))


def _palette() -> np.ndarray:
    """From clear to bright, as RGBA of 0 to 255."""
    shares = np.linspace(0, 1, _LEVELS)
    colors = np.asarray(matplotlib.colormaps["inferno"](0.25 + 0.75 * shares))
    colors[:, 3] = shares * _OPAQUE / 255
    return (255 * colors).round().astype(np.uint8)
