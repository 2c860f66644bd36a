"""Sheets of pictures in a grid: augmented examples, predictions beside the truth, masks over images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from visionkit.data.opening import opened
from visionkit.data.upright import turned_upright
from visionkit.reporting.style import OKABE_ITO, class_colors, new_figure, plot_style, shown_name
from visionkit.visible import visible

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.tasks import Task

THUMBNAIL = 256
MOST_LINES = 8
"""Of a caption."""


@dataclass(frozen=True)
class Ring:
    """A ring around a point: `x` and `y` in pixels from the upper left corner of the picture, its colour."""

    x: float
    y: float
    color: str


@dataclass(frozen=True)
class Tile:
    """A picture (height x width x 3, 0 to 1 or 0 to 255), its caption, the caption's colour, and rings."""

    image: np.ndarray
    caption: str = ""
    color: str = "black"
    rings: Sequence[Ring] = ()


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
            _draw_rings(axes, tile.rings)
            axes.set_title(tile.caption, fontsize=9, color=tile.color, loc="center", parse_math=False)
        for axes in figure.axes:
            axes.set(xticks=[], yticks=[])  # ticks take time even where they are not seen
            axes.axis("off")
        figure.suptitle(title, fontsize=12)
        if legend:
            figure.legend(
                handles=[Patch(color=color, label=shown_name(name)) for name, color in legend],
                loc="outside lower center", ncols=6, fontsize=8,
            )  # fmt: skip
    return figure


def _draw_rings(axes: Axes, rings: Sequence[Ring]) -> None:
    """Rings with a white rim, which are seen on any picture; points outside of it are left out."""
    if rings:
        axes.autoscale(False)
    for ring in rings:
        place = ([ring.x - 0.5], [ring.y - 0.5])  # matplotlib counts from the middle of the first pixel
        for color, width in (("white", 3.5), (ring.color, 1.8)):
            axes.plot(*place, "o", markersize=9, fillstyle="none", color=color, markeredgewidth=width)


def thumbnail(path: Path, upright: bool = True) -> np.ndarray:
    """The image at `path`, at most 256 pixels a side, as RGB of 0 to 255.

    Turned upright by its EXIF mark, as networks see images of labels and tags, or as it is stored.
    """
    with opened(path) as picture:
        picture.draft("RGB", (THUMBNAIL, THUMBNAIL))
        image = picture.convert("RGB")
    image = turned_upright(image) if upright else image
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)


def overlay(image: np.ndarray, mask: np.ndarray, colors: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """`mask` (code indices) in `colors` over `image` (0 to 1), both height x width."""
    return (1 - opacity) * image + opacity * colors[mask]


def example_sheet(dls: DataLoaders, task: Task, title: str, count: int = 12) -> Figure:
    """Training images as the network sees them, augmented, with label, tags, mask or points."""
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
    if task.name == "keypoints":
        named = [(name, OKABE_ITO[place % len(OKABE_ITO)]) for place, name in enumerate(vocab)]
        tiles = [Tile(image, rings=_seen_rings(image, target, named)) for image, target in chosen]
        return sheet(tiles, title, legend=named)
    return sheet([Tile(image, wrapped(task.title(target, vocab))) for image, target in chosen], title)


def _seen_rings(image: np.ndarray, points: np.ndarray, named: Sequence[tuple[str, str]]) -> list[Ring]:
    """Rings for points that are given from -1 to 1 over `image`."""
    places = (points + 1) / 2 * (image.shape[1], image.shape[0])
    return [Ring(float(x), float(y), color) for (x, y), (_, color) in zip(places, named)]


def wrapped(text: str, width: int = 26) -> str:
    """`text` broken into lines that fit over a tile."""
    import textwrap

    return "\n".join(textwrap.wrap(visible(text), width, max_lines=MOST_LINES, placeholder=" …")) or " "
