"""A run as one HTML file that needs nothing else: for a browser, and to pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.atomic import write_atomically
from visionkit.devices import resolve_device
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError, VisionkitError
from visionkit.report.data import Data, data_of
from visionkit.report.judged import Judged, judge
from visionkit.report.pictures import Album, Picture
from visionkit.report.rendering import rendered
from visionkit.report.summary import (
    as_trained,
    class_rows,
    environment_of,
    facts_of,
    headline_of,
    recorded_values,
    settings_of,
    values_of,
)
from visionkit.report.training import training_of
from visionkit.runs import Run

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.inference.prepared import Precision
    from visionkit.progress import Progress
    from visionkit.sources.base import Store

REPORT_FILE = "report.html"
ROOM = 3_600_000
"""Bytes of a page that pictures may take; the rest takes less than 1 MB."""


def write_report(
    run: Run,
    store: Store,
    *,
    dataset: Dataset | None = None,
    out: Path | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Write the report of `run`; returns its file, which is whole or not there.

    A run that has no model (yet), or whose data are gone, has one without pictures and says so.

    Args:
        run: with a run.json at least.
        store: remembers which images were looked at before.
        dataset: the run's data set, where it is at hand.
        out: the file; report.html in the run folder where None.
        threads: that read images.
        progress: hears how far the evaluation is.

    Raises:
        VisionkitError: a file of the run is damaged, or the page cannot be written.
    """
    file = out or run.path / REPORT_FILE
    text = render_report(run, store, dataset=dataset, threads=threads, progress=progress)
    try:
        write_atomically(file, text)
    except OSError as error:
        raise cannot_write(file, error) from error
    return file


def render_report(
    run: Run,
    store: Store,
    *,
    dataset: Dataset | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> str:
    """The page as text; see `write_report`."""
    album = Album(ROOM)
    training = training_of(run)
    judged: Judged | None = None
    data: Data | None = None
    missing = ""
    try:
        judged, data = _looked_at(run, store, dataset, album, threads, progress)
    except VisionkitError as error:
        missing = str(error)
    scores = None if judged is None else judged.evaluation.scores
    headline = headline_of(run, scores)
    return rendered(
        "report.html",
        run=run,
        missing=missing,
        headline=headline,
        as_trained=as_trained(run, headline),
        facts=list(facts_of(run)),
        values=recorded_values(run.metrics) if scores is None else values_of(scores),
        classes=None if scores is None else class_rows(scores.table),
        training=training,
        judged=judged,
        data=data,
        environment=environment_of(run),
        settings=settings_of(run),
        script_data=_script_data(training.charts, training.speed, judged),
        placed=_Placed(album),
    )


class _Placed:
    """Which pictures stand in the page's own text; the others its script has, and shows when asked."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self._numbers: set[int] = set()

    def first(self, picture: Picture) -> bool:
        """Whether `picture` stands here for the first time: its bytes are in the page once."""
        new = picture.number not in self._numbers
        self._numbers.add(picture.number)
        return new

    def others(self, cells: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[int, str]:
        """The data URIs of the pictures of `cells` that stand nowhere, by number."""
        wanted = {image["picture"] for images in cells.values() for image in images} - self._numbers - {None}
        return {number: self._album.pictures[number].source for number in sorted(wanted)}


def _looked_at(
    run: Run, store: Store, dataset: Dataset | None, album: Album, threads: int, progress: Progress | None
) -> tuple[Judged, Data]:
    """What model and data show.

    Raises:
        VisionkitError: there is no model, or the data set is gone or is another one.
    """
    from visionkit.evaluation.parts import Part, labelled_part
    from visionkit.inference.predictor import load

    predictor = load(run, precision=_precision(run))
    own = None if dataset is None else Part("valid", dataset, dataset.valid)
    part = own or labelled_part(run, None, None, store)
    judged = judge(predictor, part, album, threads=threads, progress=progress)
    return judged, data_of(part.dataset, store, album)


def _precision(run: Run) -> Precision:
    """That of the training's own validation, where this machine has it: figures are then the run's."""
    from visionkit.inference.prepared import precision_on

    recorded: Any = run.info.get("precision")
    try:
        return precision_on(recorded, resolve_device("auto"))
    except UsageError:
        return "fp32"


def _script_data(charts: list[Any], speed: Any, judged: Judged | None) -> dict[str, Any]:
    """What the page's script needs: values of charts, images of the confusion matrix' cells."""
    shown = [*charts, *([speed] if speed else []), *([judged.chart] if judged and judged.chart else [])]
    cells = judged.confusion.shown if judged is not None and judged.confusion is not None else {}
    return {"charts": {each.name: each.data for each in shown}, "cells": cells}
