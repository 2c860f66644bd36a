"""Sheets of pictures in a grid: augmented examples, predictions beside the truth, masks over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from visionkit.data.opening import opened
from visionkit.data.upright import turned_upright
from visionkit.reporting.palette import class_colors
from visionkit.reporting.style import (
    LINE,
    legend_below,
    legend_height,
    new_figure,
    plot_style,
    set_title,
    title_height,
)
from visionkit.reporting.text import FONT_SIZE, shown_name, wrapped

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.tasks import Task

THUMBNAIL = 256
TILE = 2.6
"""Inches that a picture is wide."""
MOST_LINES = 8
"""Of a caption."""
MOST_NAMES = 40
"""Names that a legend has at most; those with the most pixels."""
LONGEST_OF_MANY = 24
"""Characters of a name in a legend, which has several in a row."""
_GAP = 0.08
"""Inches between pictures."""
_TALLEST = 2.0
"""Height of a tile over its width at most."""


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
    captions = [_caption(tile) for tile in tiles]
    rows = [range(start, min(start + columns, len(tiles))) for start in range(0, len(tiles), columns)]
    texts = [LINE * max(captions[place].count("\n") + 1 for place in row) + _GAP for row in rows]
    pictures = [max(_height(tiles[place]) for place in row) for row in rows]
    width = TILE * columns
    top = 0.2 + title_height(width, f"{title}\n(mark)")  # there may be one that says synthetic
    bottom = legend_height(width, [name for name, _ in legend]) if legend else 0.1
    height = top + sum(texts) + sum(pictures) + bottom
    with plot_style():
        figure = new_figure(width, height, arranged=False)  # sizes are known, and to search them takes long
        below = height - top
        for row, text, tall in zip(rows, texts, pictures):
            below -= text + tall
            for column, place in enumerate(row):
                side = TILE - _GAP
                box = ((column * TILE + _GAP / 2) / width, below / height, side / width, tall / height)
                axes = figure.add_axes(box)
                axes.set_axis_off()
                axes.imshow(tiles[place].image)
                axes.set_anchor("N")
                _draw_rings(axes, tiles[place].rings)
                color, pad = tiles[place].color, 3
                axes.set_title(captions[place], fontsize=FONT_SIZE, color=color, pad=pad, parse_math=False)
        set_title(figure, title)
        if legend:
            handles = [Patch(color="none" if color is None else color, label=name) for name, color in legend]
            legend_below(figure, handles=handles, loc="lower center")
    return figure


def _caption(tile: Tile) -> str:
    lines = [wrapped(line, TILE - _GAP, most_lines=MOST_LINES) for line in tile.caption.split("\n")]
    return "\n".join(lines)


def _height(tile: Tile) -> float:
    """Inches; very tall pictures are drawn narrower."""
    return (TILE - _GAP) * min(tile.image.shape[0] / tile.image.shape[1], _TALLEST)


def _draw_rings(axes: Axes, rings: Sequence[Ring]) -> None:
    """Rings with a white rim, which are seen on any picture; points outside of it are left out."""
    if rings:
        axes.autoscale(False)
    for wanted in dict.fromkeys(ring.color for ring in rings):
        chosen = [ring for ring in rings if ring.color == wanted]
        # matplotlib counts from the middle of the first pixel
        places = [ring.x - 0.5 for ring in chosen], [ring.y - 0.5 for ring in chosen]
        for color, width in (("white", 3.5), (wanted, 1.8)):
            axes.plot(*places, "o", markersize=9, fillstyle="none", color=color, markeredgewidth=width)


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


def code_legend(
    masks: Sequence[np.ndarray], codes: Sequence[str], colors: np.ndarray
) -> list[tuple[str, Any]]:
    """Names and colours of the codes that occur in the masks; of many, those with the most pixels."""
    pixels = sum(np.bincount(mask.ravel(), minlength=len(codes)) for mask in masks)
    order = np.argsort(-np.asarray(pixels), kind="stable")[: np.count_nonzero(pixels)]
    legend: list[tuple[str, Any]] = [
        (shown_name(codes[code], LONGEST_OF_MANY), colors[code]) for code in sorted(order[:MOST_NAMES])
    ]
    if len(order) > MOST_NAMES:
        legend.append((f"and {len(order) - MOST_NAMES} more", None))
    return legend


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
        masks = [target.astype(int) for _, target in chosen]
        tiles = [Tile(overlay(image, mask, colors)) for (image, _), mask in zip(chosen, masks)]
        return sheet(tiles, title, legend=code_legend(masks, vocab, colors))
    if task.name == "keypoints":
        named = [(shown_name(name), to_hex(color)) for name, color in zip(vocab, class_colors(vocab))]
        tiles = [Tile(image, rings=_seen_rings(image, target, named)) for image, target in chosen]
        return sheet(tiles, title, legend=named)
    return sheet([Tile(image, task.title(target, vocab)) for image, target in chosen], title)


def _seen_rings(image: np.ndarray, points: np.ndarray, named: Sequence[tuple[str, str]]) -> list[Ring]:
    """Rings for points that are given from -1 to 1 over `image`."""
    places = (points + 1) / 2 * (image.shape[1], image.shape[0])
    return [Ring(float(x), float(y), color) for (x, y), (_, color) in zip(places, named)]
