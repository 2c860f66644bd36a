"""The headline figure of an exported file on the images that it is compared on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from visionkit.evaluation.evaluating import Request, evaluate
from visionkit.evaluation.parts import Part, labelled_part
from visionkit.inference.exporting.agreement import batch_size
from visionkit.inference.exporting.photos import spread
from visionkit.progress import Silence
from visionkit.sources.base import Store

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor
    from visionkit.runs import Run


def labelled_photos(run: Run, count: int, store: Store | None) -> Part:
    """At most `count` validation images of `run`, with their labels.

    Raises:
        DataError: something is wrong with the files.
        VisionkitError: the data set is no longer there, or is another one.
    """
    part = labelled_part(run, None, None, store or Store(progress=Silence()))
    return replace(part, places=spread(part.places, count))


def headline_figure(predictor: Predictor, part: Part) -> tuple[str, float]:
    """The name and the value of the first of the figures that `visionkit evaluate` gives."""
    scores = evaluate(predictor, part, Request(bs=batch_size(predictor))).scores
    name, figure = next(iter(scores.figures.items()))
    return name, float(figure.value)
