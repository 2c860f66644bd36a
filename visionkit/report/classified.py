"""What a classifier makes of the validation images: galleries, confusion matrix, curves over thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.data.splits import relative_name
from visionkit.evaluation.predictions import image_losses
from visionkit.evaluation.thresholds import mean_fbeta
from visionkit.report.charts import Chart, Line, chart
from visionkit.report.heat import Heat, heat_maps
from visionkit.report.pictures import Album, Picture
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.evaluation.evaluating import Evaluation
    from visionkit.inference.predictor import Predictor

EXAMPLES = 12
MATRIX_LIMIT = 40
"""With more classes the matrix cannot be read; the pairs that are confused most are listed instead."""
MOST_PAIRS = 40
MOST_TAGS = 6
"""Of a kind, beside an image."""
PER_CELL = 12
"""Images that a click shows at most."""
_PLACES = 99
"""Thresholds that are tried."""


@dataclass(frozen=True)
class Example:
    """An image with what is said of it, line by line: each with "right", "wrong" or nothing."""

    picture: Picture | None
    name: str
    lines: list[tuple[str, str]]
    heat: Heat | None = None


@dataclass(frozen=True)
class Cell:
    """How many images of a class were taken for another, and which of them the page shows."""

    truth: str
    guess: str
    count: int
    share: float
    right: bool
    key: str


@dataclass(frozen=True)
class Confusion:
    """All cells in rows, or of many classes the pairs that are confused most."""

    names: list[str]
    rows: list[list[Cell]]
    pairs: list[Cell]
    shown: dict[str, list[dict[str, Any]]]
    """Of each cell's key: pictures, names and probabilities, for the page's script."""


@dataclass(frozen=True)
class Galleries:
    """Images that the model was most wrong about, and least sure of."""

    worst: list[Example]
    uncertain: list[Example]
    heated: bool
    """Whether there are heat maps."""


def galleries(predictor: Predictor, evaluation: Evaluation, album: Album) -> Galleries:
    """The images with the greatest losses, and those with the most even probabilities.

    A wrong answer has the greater loss the surer it was.
    """
    probabilities, targets = _found(evaluation)
    losses = image_losses(probabilities, targets)
    worst = np.argsort(-losses, kind="stable")[:EXAMPLES].tolist()
    uncertain = np.argsort(-_entropy(probabilities, targets.ndim == 2), kind="stable")[:EXAMPLES].tolist()
    chosen = list(dict.fromkeys([*worst, *uncertain]))
    images = [evaluation.part.images[place] for place in chosen]
    classes = [int(probabilities[place].argmax()) for place in chosen]
    heats = dict(zip(chosen, heat_maps(predictor, images, classes, album)))
    made = {place: _example(evaluation, place, album, heats[place]) for place in chosen}
    return Galleries(
        [made[place] for place in worst],
        [made[place] for place in uncertain],
        any(heat is not None for heat in heats.values()),
    )


def confusion(evaluation: Evaluation, album: Album) -> Confusion:
    """The confusion matrix of labels, with images for its cells as long as there is room."""
    probabilities, targets = _found(evaluation)
    counts, names = evaluation.confusion, [visible(name) for name in evaluation.description.vocab]
    assert counts is not None
    guesses = probabilities.argmax(axis=1)

    def cell(truth: int, guess: int) -> Cell:
        count, whole = int(counts[truth, guess]), int(counts[truth].sum())
        share = count / whole if whole else 0.0
        return Cell(names[truth], names[guess], count, share, truth == guess, f"{truth}-{guess}")

    wrong = counts * (1 - np.eye(len(names), dtype=counts.dtype))
    order = np.argsort(-wrong.ravel(), kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(names)) for place in order if wrong.ravel()[place]]
    small = len(names) <= MATRIX_LIMIT
    rows = (
        [[cell(truth, guess) for guess in range(len(names))] for truth in range(len(names))] if small else []
    )
    wanted = sorted(zip(*np.nonzero(counts)), key=lambda pair: (pair[0] == pair[1], -counts[pair]))
    if not small:
        wanted = pairs
    shown = {}
    for truth, guess in ((int(truth), int(guess)) for truth, guess in wanted):
        places = np.flatnonzero((targets == truth) & (guesses == guess))
        surest = places[np.argsort(-probabilities[places, guess], kind="stable")][:PER_CELL]
        shown[f"{truth}-{guess}"] = [_shown(evaluation, int(place), guess, album) for place in surest]
    return Confusion(names, rows, [cell(*pair) for pair in pairs], shown)


def threshold_chart(evaluation: Evaluation) -> Chart | None:
    """Mean F2, and precision and recall over all tags, at every threshold."""
    probabilities, targets = _found(evaluation)
    truth, places = targets.astype(bool), np.linspace(0.01, 0.99, _PLACES)
    curves: dict[str, list[float]] = {"mean F2": [], "precision of all tags": [], "recall of all tags": []}
    for place in places:
        said = probabilities > place
        met = int((said & truth).sum())
        values = mean_fbeta(said, truth), met / max(1, int(said.sum())), met / max(1, int(truth.sum()))
        for curve, value in zip(curves.values(), values):
            curve.append(value)
    lines = [
        Line(name, places.tolist(), curve, color, dots=False)
        for color, (name, curve) in enumerate(curves.items())
    ]
    title = "One threshold for all tags"
    return chart("thresholds", title, lines, x_label="threshold", y_label="from 0 to 1")


def _found(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    assert evaluation.probabilities is not None and evaluation.targets is not None
    return evaluation.probabilities, evaluation.targets


def _entropy(probabilities: np.ndarray, tags: bool) -> np.ndarray:
    """How even the probabilities of each image are, in nats; of tags, the mean over tags."""
    some = np.clip(probabilities.astype(float), 1e-9, 1 - 1e-9)
    terms = -some * np.log(some)
    return np.asarray((terms - (1 - some) * np.log(1 - some)).mean(axis=1) if tags else terms.sum(axis=1))


def _example(evaluation: Evaluation, place: int, album: Album, heat: Heat | None) -> Example:
    probabilities, targets = _found(evaluation)
    file = evaluation.part.images[place]
    row, target, vocab = probabilities[place], targets[place], evaluation.description.vocab
    name = visible(relative_name(file, evaluation.part.dataset.path))
    if targets.ndim == 1:
        guess, truth = int(row.argmax()), int(target)
        lines = [("right" if guess == truth else "wrong", f"{visible(vocab[guess])} {row[guess]:.0%}")]
        if guess != truth:
            lines.append(("", f"truth: {visible(vocab[truth])} {row[truth]:.0%}"))
        return Example(album.photo(file), name, lines, heat)
    assert evaluation.chosen is not None
    said, there = evaluation.chosen[place].astype(bool), target.astype(bool)
    groups = (
        ("right", "", said & there),
        ("wrong", "too much: ", said & ~there),
        ("wrong", "missed: ", there & ~said),
    )
    lines = [(kind, what + _tags(vocab, row, chosen)) for kind, what, chosen in groups if chosen.any()]
    return Example(album.photo(file), name, lines or [("right", "no tag")], heat)


def _tags(vocab: Sequence[str], row: np.ndarray, chosen: np.ndarray) -> str:
    """The tags that are `chosen`, the likeliest first; of many, the first few."""
    order = [int(place) for place in np.argsort(-row, kind="stable") if chosen[place]]
    named = [f"{visible(vocab[place])} {row[place]:.0%}" for place in order[:MOST_TAGS]]
    return ", ".join(named) + (f" and {len(order) - MOST_TAGS} more" if len(order) > MOST_TAGS else "")


def _shown(evaluation: Evaluation, place: int, guess: int, album: Album) -> dict[str, Any]:
    assert evaluation.probabilities is not None
    file: Path = evaluation.part.images[place]
    picture = album.photo(file)
    return {
        "picture": None if picture is None else picture.number,
        "name": visible(relative_name(file, evaluation.part.dataset.path)),
        "probability": round(float(evaluation.probabilities[place, guess]), 3),
    }
