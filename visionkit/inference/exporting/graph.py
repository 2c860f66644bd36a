"""What is exported: the network with its activation and, where wanted, its preprocessing, as one module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from visionkit.inference.description import Description
from visionkit.inference.exporting.resizing import Cut
from visionkit.inference.exporting.steps import GraphPreprocessing
from visionkit.inference.results import UNSEEN
from visionkit.models.heads import PointOutput

Place = Literal["graph", "outside"]
"""Where the preprocessing is done."""
OUTPUTS: dict[str, tuple[str, ...]] = {
    "single-label": ("probabilities",),
    "multi-label": ("probabilities",),
    "segmentation": ("mask", "probabilities"),
    "keypoints": ("points",),
}
"""Names of what a graph gives for each task."""


class AnswerGraph(nn.Module):
    """From the network's input to probabilities, masks of the network's size, or points of -1 to 1.

    Args:
        description: of the bundle.
        network: with its weights.
    """

    input_name = "input"

    def __init__(self, description: Description, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.activation = description.activation
        self.temperature = description.temperature or 1.0
        self.masks = description.task == "segmentation"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs as `OUTPUTS` names them; `images` are float32, (images, channels, rows, columns)."""
        return self.answers(images)

    def answers(self, images: Tensor) -> tuple[Tensor, ...]:
        """What `forward` gives for the network's input."""
        outputs = self.network(images)
        if self.activation == "points":
            return (outputs.reshape(outputs.shape[0], -1, 2),)
        outputs = outputs / self.temperature
        if self.activation == "sigmoid":
            return (outputs.sigmoid(),)
        probabilities = outputs.softmax(dim=1)
        if self.masks:
            return outputs.argmax(dim=1).to(torch.int16), probabilities
        return (probabilities,)

    def example(self, description: Description) -> Tensor:
        """Two images to trace with; their sides are multiples of 32 where networks take any."""
        height, width = description.input_size
        if self.masks:
            height, width = (max(64, round(side / 32) * 32) for side in (height, width))
        channels = 3 if description.preprocessing.mode == "RGB" else 1
        return torch.zeros(2, channels, height, width)

    def sides(self) -> dict[int, str]:
        """Names of the sides of the input that may vary."""
        return {0: "batch", 2: "height", 3: "width"} if self.masks else {0: "batch"}


class ImageGraph(AnswerGraph):
    """From the pixels of images to probabilities, masks of the images' own size, or points in pixels.

    EXIF marks are no part of pixels: where the description says `upright`, the caller turns images before.

    Args:
        description: of the bundle.
        network: with its weights.

    Raises:
        UsageError: the preprocessing cannot be put into a graph.
    """

    input_name = "image"

    def __init__(self, description: Description, network: nn.Module) -> None:
        super().__init__(description, network)
        height, width = description.input_size
        self.preprocessing = GraphPreprocessing(description.preprocessing, (height, width))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs as `OUTPUTS` names them; `images` are uint8, (images, rows, columns, channels)."""
        pictures = images.permute(0, 3, 1, 2).to(torch.float32)
        found, *more = self.answers(self.preprocessing(pictures))
        if self.masks:
            found = _at_own_size(found, pictures, self.preprocessing.window(pictures))
        elif self.activation == "points":
            found = _in_pixels(found, self.preprocessing.window(pictures))
        return (found, *more)

    def example(self, description: Description) -> Tensor:
        """Two images to trace with."""
        height, width = self.preprocessing.side_lengths or (300, 400)
        return torch.zeros(2, height, width, 3 if description.preprocessing.mode == "RGB" else 1).byte()

    def sides(self) -> dict[int, str]:
        """Names of the sides of the input that may vary."""
        any_size = self.preprocessing.side_lengths is None
        return {0: "batch", 1: "height", 2: "width"} if any_size else {0: "batch"}


class HalfNetwork(nn.Module):
    """A network that computes in 16 bits, between tensors of 32; points are computed in 32 bits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.inner = network.half()
        for module in network.modules():
            if isinstance(module, PointOutput):
                module.float()

    def forward(self, images: Tensor) -> Tensor:
        """As the network."""
        outputs: Tensor = self.inner(images.half())
        return outputs.float()


def _at_own_size(codes: Tensor, pictures: Tensor, window: Cut) -> Tensor:
    """Codes of what a window shows, brought to the whole image by the nearest neighbour."""
    rows = _nearest(pictures.shape[-2], window.top, window.down, codes.shape[-2])
    columns = _nearest(pictures.shape[-1], window.left, window.across, codes.shape[-1])
    whole = codes.to(torch.int32)
    whole = whole.index_select(1, rows.clamp(0, codes.shape[-2] - 1).to(torch.int64))
    whole = whole.index_select(2, columns.clamp(0, codes.shape[-1] - 1).to(torch.int64))
    seen_rows = (rows >= 0) & (rows < codes.shape[-2])
    seen_columns = (columns >= 0) & (columns < codes.shape[-1])
    unseen = torch.full((), UNSEEN, dtype=torch.int32)
    return torch.where(seen_rows[:, None] & seen_columns, whole, unseen).to(torch.int16)


def _nearest(length: int, start: Tensor, span: Tensor, codes: int) -> Tensor:
    return torch.floor((torch.arange(length, dtype=torch.float64) + 0.5 - start) / span * codes)


def _in_pixels(points: Tensor, window: Cut) -> Tensor:
    origin = torch.stack([window.left, window.top])
    span = torch.stack([window.across, window.down])
    return (origin + (points.to(torch.float64) + 1) / 2 * span).to(torch.float32)
