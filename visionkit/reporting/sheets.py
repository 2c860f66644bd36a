"""Sheets of pictures in a grid: augmented examples, predictions beside the truth, masks over images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image, ImageOps

from visionkit.reporting.style import class_colors, new_figure, plot_style

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.tasks import Task

THUMBNAIL = 256


@dataclass(frozen=True)
class Tile:
    """A picture (height x width x 3, 0 to 1 or 0 to 255), its caption and the caption's colour."""

    image: np.ndarray
    caption: str = ""
    color: str = "black"


def sheet(
    tiles: Sequence[Tile], title: str, columns: int = 4, legend: Sequence[tuple[str, Any]] = ()
) -> Figure:
    """The tiles in rows, each with its caption above; `legend` is a list of names with colours."""
    columns = min(columns, max(len(tiles), 1))
    rows = math.ceil(len(tiles) / columns)
    first = tiles[0].image
    height = (
        2.6 * first.shape[0] / first.shape[1]
        + 0.15
        + 0.2 * max(tile.caption.count("\n") + 1 for tile in tiles)
    )
    with plot_style():
        figure = new_figure(
            2.6 * columns, max(height, 1.2) * rows + 0.5 + (0.25 * math.ceil(len(legend) / 6))
        )
        for axes, tile in zip(figure.subplots(rows, columns, squeeze=False).flat, tiles):
            axes.imshow(tile.image)
            axes.set_title(tile.caption, fontsize=9, color=tile.color, loc="center", parse_math=False)
        for axes in figure.axes:
            axes.axis("off")
        figure.suptitle(title, fontsize=12)
        if legend:
            figure.legend(
                handles=[Patch(color=color, label=name) for name, color in legend],
                loc="outside lower center", ncols=6, fontsize=8,
            )  # fmt: skip
    return figure


def thumbnail(path: Path) -> np.ndarray:
    """The image at `path`, upright, at most 256 pixels a side, as RGB of 0 to 255."""
    with Image.open(path) as opened:
        opened.draft("RGB", (THUMBNAIL, THUMBNAIL))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)


def overlay(image: np.ndarray, mask: np.ndarray, colors: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """`mask` (code indices) in `colors` over `image` (0 to 1), both height x width."""
    return (1 - opacity) * image + opacity * colors[mask]


def example_sheet(dls: DataLoaders, task: Task, title: str, count: int = 12) -> Figure:
    """Training images as the network sees them, augmented, with label, tags or mask."""
    vocab = task.vocab(dls)
    images: list[np.ndarray] = []
    targets: list[Any] = []
    for batch, answers in dls.train:
        images += list(batch.float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())
        targets += list(answers.cpu().numpy())
        if len(images) >= count:
            break
    chosen = list(zip(images, targets))[:count]
    if task.name == "segmentation":
        colors = class_colors(vocab)
        used = np.unique(np.stack([target for _, target in chosen]))
        tiles = [Tile(overlay(image, target.astype(int), colors)) for image, target in chosen]
        return sheet(tiles, title, legend=[(vocab[code], colors[code]) for code in used])
    return sheet([Tile(image, wrapped(task.title(target, vocab))) for image, target in chosen], title)


def wrapped(text: str, width: int = 26) -> str:
    """`text` broken into lines that fit over a tile."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width)) or " "
