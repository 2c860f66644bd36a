"""What stands in a row, an object and a line about one image, for each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from visionkit.inference.description import Description
from visionkit.inference.results import (
    LabelPrediction,
    MaskPrediction,
    PointPrediction,
    Prediction,
    TagPrediction,
)
from visionkit.visible import visible

Kind = Literal["text", "texts", "number"]
Value = str | list[str] | float


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, and what its values are."""

    name: str
    kind: Kind = "number"


class Form(Protocol):
    """How the answers of one task are written."""

    columns: list[Column]
    heading: str
    """Stands above the lines on a terminal."""

    def values(self, prediction: Any) -> list[Value]:
        """One for each column."""

    def as_json(self, prediction: Any) -> dict[str, Any]:
        """An object, without the image's name."""

    def lines(self, prediction: Any) -> list[str]:
        """For a terminal."""


class LabelForm:
    """`label` and `probability` of the likeliest class, then `label_2`, `probability_2` and so on.

    Args:
        vocab: names of the classes.
        top: how many of the likeliest.
        every: whether the probabilities of all classes stand behind them, as `p_NAME`.
    """

    heading = "probability  label"

    def __init__(self, vocab: Sequence[str], top: int, every: bool) -> None:
        self.top, self.every, self.names = min(top, len(vocab)), every, distinct(vocab)
        self.columns = [Column("label", "text"), Column("probability")]
        for rank in range(2, self.top + 1):
            self.columns += [Column(f"label_{rank}", "text"), Column(f"probability_{rank}")]
        self.columns += [Column(f"p_{name}") for name in self.names] if every else []

    def values(self, prediction: LabelPrediction) -> list[Value]:
        best: list[Value] = [value for pair in prediction.top(self.top) for value in pair]
        return best + (prediction.probabilities.tolist() if self.every else [])

    def as_json(self, prediction: LabelPrediction) -> dict[str, Any]:
        pairs = prediction.top(self.top)
        said: dict[str, Any] = {"label": pairs[0][0], "probability": rounded(pairs[0][1])}
        said["top"] = [{"label": label, "probability": rounded(value)} for label, value in pairs]
        if self.every:
            said["probabilities"] = _by_name(self.names, prediction.probabilities.tolist())
        return said

    def lines(self, prediction: LabelPrediction) -> list[str]:
        return [f"{value:11.4f}  {visible(label)}" for label, value in prediction.top(self.top)]


class TagForm:
    """`tags`, and `p_NAME` of each where all probabilities are wanted.

    Args:
        description: of the model: names, and how they are chosen.
        every: whether the probabilities of all tags are written.
    """

    def __init__(self, description: Description, every: bool) -> None:
        self.every, self.names = every, distinct(description.vocab)
        self.columns = [Column("tags", "texts")]
        self.columns += [Column(f"p_{name}") for name in self.names] if every else []
        thresholds = 0.5 if description.thresholds is None else description.thresholds
        listed = thresholds if isinstance(thresholds, list) else [thresholds] * len(description.vocab)
        self.thresholds = listed if description.decision == "threshold" else None
        self.heading = "probability  threshold  tag" if self.thresholds else "probability  tag"

    def values(self, prediction: TagPrediction) -> list[Value]:
        return [list(prediction.tags), *(prediction.probabilities.tolist() if self.every else [])]

    def as_json(self, prediction: TagPrediction) -> dict[str, Any]:
        said: dict[str, Any] = {"tags": list(prediction.tags), "chosen": []}
        for place, probability in self._chosen(prediction):
            one = {"tag": prediction.vocab[place], "probability": rounded(probability)}
            said["chosen"].append(one | ({"threshold": self.thresholds[place]} if self.thresholds else {}))
        if self.every:
            said["probabilities"] = _by_name(self.names, prediction.probabilities.tolist())
        return said

    def lines(self, prediction: TagPrediction) -> list[str]:
        found = []
        for place, probability in sorted(self._chosen(prediction), key=lambda each: -each[1]):
            threshold = f"{self.thresholds[place]:9.4f}  " if self.thresholds else ""
            found.append(f"{probability:11.4f}  {threshold}{visible(prediction.vocab[place])}")
        return found or ["             no tag"]

    def _chosen(self, prediction: TagPrediction) -> list[tuple[int, float]]:
        on = set(prediction.tags)
        return [
            (p, float(prediction.probabilities[p])) for p, name in enumerate(prediction.vocab) if name in on
        ]


class MaskForm:
    """`share_NAME`: the share of the seen pixels that have each code."""

    heading = "      share  code"

    def __init__(self, vocab: Sequence[str]) -> None:
        self.names = distinct(vocab)
        self.columns = [Column(f"share_{name}") for name in self.names]

    def values(self, prediction: MaskPrediction) -> list[Value]:
        return prediction.shares.tolist()

    def as_json(self, prediction: MaskPrediction) -> dict[str, Any]:
        return {"shares": _by_name(self.names, prediction.shares.tolist())}

    def lines(self, prediction: MaskPrediction) -> list[str]:
        pairs = sorted(zip(prediction.shares.tolist(), prediction.vocab), key=lambda pair: -pair[0])
        return [f"{share:11.4f}  {visible(name)}" for share, name in pairs if share > 0]


class PointForm:
    """`x_1`, `y_1` and so on: the points in the order of the vocabulary, in pixels of the image as stored."""

    heading = "          x           y  point"

    def __init__(self, vocab: Sequence[str]) -> None:
        self.columns = [Column(f"{axis}_{n}") for n in range(1, len(vocab) + 1) for axis in ("x", "y")]

    def values(self, prediction: PointPrediction) -> list[Value]:
        return [float(value) for value in prediction.points.reshape(-1)]

    def as_json(self, prediction: PointPrediction) -> dict[str, Any]:
        pairs = zip(prediction.vocab, prediction.points.tolist())
        return {"points": [{"name": name, "x": rounded(x), "y": rounded(y)} for name, (x, y) in pairs]}

    def lines(self, prediction: PointPrediction) -> list[str]:
        pairs = zip(prediction.vocab, prediction.points.tolist())
        return [f"{x:11.2f} {y:11.2f}  {visible(name)}" for name, (x, y) in pairs]


def form_of(description: Description, top: int, every: bool) -> Form:
    """How the answers of a model are written."""
    if description.task == "single-label":
        return LabelForm(description.vocab, top, every)
    if description.task == "multi-label":
        return TagForm(description, every)
    return MaskForm(description.vocab) if description.task == "segmentation" else PointForm(description.vocab)


def json_object(form: Form, image: str, prediction: Prediction, file: str = "") -> dict[str, Any]:
    """The object about one image; `file` is what was written for it."""
    return {"image": image, **({"file": file} if file else {}), **form.as_json(prediction)}


def rounded(value: float) -> float:
    """To seven digits, which is all that the network computes with."""
    return float(f"{value:.7g}")


def distinct(names: Sequence[str]) -> list[str]:
    """`names`, with a number behind one that is there already."""
    found: dict[str, None] = {}
    for name in names:
        number, new = 1, name
        while new in found:
            number += 1
            new = f"{name}_{number}"
        found[new] = None
    return list(found)


def _by_name(names: list[str], values: list[float]) -> dict[str, float]:
    return {name: rounded(value) for name, value in zip(names, values)}
