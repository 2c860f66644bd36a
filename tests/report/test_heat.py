"""Grad-CAM: which layer is looked at, and that the map lies over what speaks for the class."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from visionkit.inference.preprocessing import Window
from visionkit.report.heat import SIDE, heat_maps, last_maps
from visionkit.report.pictures import Album


def predictor_of(model: nn.Module, size: int, image: torch.Tensor | None = None) -> Any:
    """What `heat_maps` needs of a predictor, for any network."""
    window = Window(0, 0, 80, 40)
    preprocessing = SimpleNamespace(size=(size, size), window=lambda width, height: window)
    return SimpleNamespace(
        model=model.eval().requires_grad_(False),
        device=torch.device("cpu"),
        preprocessing=preprocessing,
        input_of=lambda _: (image, (80, 40)),
    )


@pytest.mark.parametrize(
    ("arch", "channels"),
    [("resnet18", 512), ("squeezenet1_1", 1000), ("vgg11_bn", 512), ("mobilenet_v3_small", 576)],
)
def test_the_last_maps(arch: str, channels: int) -> None:
    model = getattr(torchvision.models, arch)()
    layer = last_maps(predictor_of(model, 96))
    assert layer is not None
    seen: list[torch.Size] = []
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape))
    with torch.no_grad():
        model(torch.zeros(1, 3, 96, 96))
    assert seen[-1][1] == channels and min(seen[-1][2:]) > 1


@pytest.mark.parametrize("arch", ["vit_b_32", "swin_t"])
def test_transformers_have_none(arch: str) -> None:
    predictor = predictor_of(getattr(torchvision.models, arch)(), 224)
    assert last_maps(predictor) is None
    assert heat_maps(predictor, [Path("x")], [0], Album(10**6)) == [None]


def test_hot_where_the_class_is() -> None:
    """A network whose first class is red, and whose second is green: red above on the left, green below."""
    model = nn.Sequential(
        nn.Conv2d(3, 3, 1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 3, bias=False),
    )
    model[0].weight.data = torch.eye(3)[:, :, None, None]
    model[4].weight.data = torch.eye(3)
    image = torch.zeros(3, 64, 64)
    image[0, :16, :16], image[1, 48:, 32:] = 1, 1
    album = Album(10**6)
    red, green, blue = heat_maps(predictor_of(model, 64, image), [Path("x")] * 3, [0, 1, 2], album)
    assert red is not None and green is not None and blue is not None

    def levels(number: int) -> np.ndarray:
        content = base64.b64decode(album.pictures[number].source.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))[..., 3].astype(int)

    warm = levels(red.picture.number)
    assert warm.shape == (SIDE, SIDE) and warm[:10, :10].min() > 150 and warm[24:].max() == 0
    warm = levels(green.picture.number)
    assert warm[40:, 28:].min() > 150 and warm[:24].max() == 0
    assert levels(blue.picture.number).max() == 0, "nothing speaks for it"
    assert (red.left, red.top, red.width, red.height) == (0, 0, 100, 100)
