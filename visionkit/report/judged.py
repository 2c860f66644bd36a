"""What a run's model makes of its validation images, in the way of its task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionkit.evaluation.evaluating import Request, evaluate
from visionkit.progress import Silence
from visionkit.report.charts import Chart
from visionkit.report.classified import Confusion, Galleries, confusion, galleries, threshold_chart
from visionkit.report.masked import Scenes, look_at_masks, scenes
from visionkit.report.pictures import Album
from visionkit.report.pointed import PointExample, error_chart, point_examples

if TYPE_CHECKING:
    from visionkit.evaluation.evaluating import Evaluation
    from visionkit.evaluation.parts import Part
    from visionkit.inference.predictor import Predictor
    from visionkit.progress import Progress


@dataclass(frozen=True)
class Judged:
    """Figures of the validation images, and what of them is shown; what a task has not is None."""

    evaluation: Evaluation
    galleries: Galleries | None = None
    confusion: Confusion | None = None
    chart: Chart | None = None
    scenes: Scenes | None = None
    points: tuple[list[PointExample], list[PointExample]] | None = None


def judge(
    predictor: Predictor, part: Part, album: Album, *, threads: int = 1, progress: Progress | None = None
) -> Judged:
    """Ask `predictor` about the images of `part`, and choose what to show.

    Args:
        predictor: the run's model.
        part: the labelled images.
        album: takes the pictures.
        threads: that read images.
        progress: hears how far the evaluation is.

    Raises:
        DataError: an image or a mask cannot be used.
    """
    progress = progress or Silence()
    if predictor.task == "segmentation":
        found = look_at_masks(predictor, part, bs=16, threads=threads, progress=progress)
        return Judged(found.evaluation, scenes=scenes(found, album))
    evaluation = evaluate(predictor, part, Request(threads=threads), progress)
    if predictor.task == "keypoints":
        examples = point_examples(predictor, evaluation, album)
        return Judged(evaluation, chart=error_chart(evaluation), points=examples)
    shown = galleries(predictor, evaluation, album)
    if predictor.task == "multi-label":
        return Judged(evaluation, shown, chart=threshold_chart(evaluation))
    return Judged(evaluation, shown, confusion(evaluation, album))
