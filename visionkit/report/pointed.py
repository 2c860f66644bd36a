"""What a model of key points makes of the validation images: points beside the true ones, and how far off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from visionkit.data.points import image_sizes
from visionkit.data.splits import relative_name
from visionkit.evaluation.truth import point_truth
from visionkit.inference.results import PointPrediction
from visionkit.report.charts import Chart, Line, chart
from visionkit.report.pictures import Album, Picture
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.evaluation.evaluating import Evaluation
    from visionkit.inference.predictor import Predictor

EXAMPLES = 12
SIDE = 320
_PLACES = 200


class PointPair(NamedTuple):
    """A true and a predicted point, in per cent of the image's sides."""

    name: str
    true_x: float
    true_y: float
    x: float
    y: float


@dataclass(frozen=True)
class PointExample:
    """An image with its points, and their mean error in pixels."""

    picture: Picture | None
    name: str
    error: float
    pairs: list[PointPair]


def point_examples(
    predictor: Predictor, evaluation: Evaluation, album: Album
) -> tuple[list[PointExample], list[PointExample]]:
    """Images with the largest mean errors, and some spread evenly over the rest."""
    assert evaluation.errors is not None
    errors = evaluation.errors.mean(axis=1)
    count = min(EXAMPLES, len(errors))
    worst = np.argsort(-errors, kind="stable")[:count].tolist()
    spread = np.linspace(0, len(errors) - 1, count).round().astype(int).tolist()
    truth = point_truth(evaluation.part, predictor.vocab)

    def example(place: int) -> PointExample:
        file: Path = evaluation.part.images[place]
        said = predictor.predict(file)
        assert isinstance(said, PointPrediction)
        size = np.array(image_sizes([file])[0])
        places = np.concatenate([100 * truth[place] / size, 100 * said.points / size], axis=1).round(2)
        pairs = [PointPair(visible(name), *row) for name, row in zip(predictor.vocab, places.tolist())]
        name = visible(relative_name(file, evaluation.part.dataset.path))
        return PointExample(album.photo(file, upright=False, side=SIDE), name, float(errors[place]), pairs)

    others = [place for place in spread if place not in set(worst)]
    return [example(place) for place in worst], [example(place) for place in others]


def error_chart(evaluation: Evaluation) -> Chart | None:
    """The share of all points that lie within a distance of the true one."""
    assert evaluation.errors is not None
    errors = np.sort(evaluation.errors.ravel())
    places = np.linspace(0, float(np.percentile(errors, 99)) or 1.0, _PLACES)
    shares = np.searchsorted(errors, places, side="right") / len(errors)
    line = Line("share of the points", places.tolist(), shares.tolist(), 0, dots=False)
    return chart(
        "errors",
        "Points within a distance of the true one",
        [line],
        x_label="distance in pixels of the image",
        y_label="share of the points",
    )
