"""What everybody should see of a plot: texts that are large enough, whole, and not over one another."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SMALLEST = 11
"""Points, of which half a picture of 130 dpi has 10 pixels."""


def shown(text: Text) -> bool:
    return text.get_visible() and bool(text.get_text().strip())


def assert_readable(figure: Figure) -> None:
    """Also at half size: a title, words on all axes, no text that is small, cut or over another."""
    figure.canvas.draw()
    assert figure.get_suptitle()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and shown(text)]
    small = [text.get_text() for text in texts if text.get_fontsize() < SMALLEST]
    assert not small, small
    figures = [axes for axes in figure.axes if axes.axison]
    for axes in figures:
        shares = axes.get_shared_x_axes().get_siblings(axes)
        assert axes.get_xlabel() or axes.get_ylabel(), "an axis without a word"
        assert axes.get_xlabel() or len(shares) > 1 or axes.yaxis.get_label_position() == "right"
        for axis in (axes.xaxis, axes.yaxis):
            _assert_apart([box(label) for label in axis.get_ticklabels() if shown(label)])
    whole = [*figures, *(axes.title for axes in figure.axes), *figure.texts, *figure.legends]
    _assert_inside(figure, [box(each) for each in whole])
    parts = [box(axes) for axes in figures] if figures else [box(axes.title) for axes in figure.axes]
    parts += [box(text) for text in figure.texts if shown(text)] + [box(legend) for legend in figure.legends]
    for one, other in combinations(parts, 2):
        assert not _overlap(one, other), (one, other)


def box(artist: Any) -> Bbox:
    figure = artist.get_figure(root=True)
    renderer = figure.canvas.get_renderer()
    return Bbox(artist.get_tightbbox(renderer))


def _assert_inside(figure: Figure, boxes: list[Bbox]) -> None:
    for each in boxes:
        inside = each.x0 > -3 and each.y0 > -3
        assert inside and each.x1 < figure.bbox.x1 + 3 and each.y1 < figure.bbox.y1 + 3, (each, figure.bbox)


def _assert_apart(boxes: list[Bbox]) -> None:
    for one, other in pairwise(boxes):
        assert not _overlap(one, other), (one, other)


def _overlap(one: Bbox, other: Bbox) -> bool:
    """By more than two pixels both ways."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 2 and along > 2
