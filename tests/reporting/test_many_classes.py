"""Plots of predictions of 2 to 1,000 classes, with names long, wide and hostile: all can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import noise
from matplotlib.figure import Figure
from PIL import Image
from reporting.looking import assert_readable

from visionkit.evaluation.masks import MaskExample, MaskPredictions
from visionkit.evaluation.points import PointPredictions
from visionkit.evaluation.predictions import Predictions
from visionkit.reporting import balance, classification, evaluation, keypoints, segmentation
from visionkit.reporting.matrix import MATRIX_LIMIT, NUMBERS_LIMIT, short
from visionkit.reporting.style import save_figure
from visionkit.reporting.text import text_width, wrapped

COUNTS = [2, 10, 37, 41, 100, 1000]
WORDS = ["Abyssinian", "german_shorthaired", "staffordshire_bull_terrier", "Sphynx", "Maine_Coon"]
SPECIAL = ["5$ a day, $x_1$ <script>alert(1)</script> and so on until the end", "中文类别 很长的类别名称"]


def vocab(count: int) -> list[str]:
    return [*SPECIAL, *(f"{WORDS[number % 5]} {number}" for number in range(2, count))]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A wide one, a tall one, and others."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (width, height) in enumerate([(60, 20), (20, 60), (40, 40), (50, 40)]):
        Image.fromarray(noise(number, width, height)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def labelled(count: int, photos: list[Path], right: float = 0.7) -> Predictions:
    random = np.random.default_rng(count)
    truth = np.concatenate([np.arange(count), random.integers(0, count, 500)])
    guess = np.where(random.random(len(truth)) < right, truth, (truth + 1) % count)
    probabilities = np.full((len(truth), count), 0.1 / count, np.float32)
    probabilities[np.arange(len(truth)), guess] = 0.9
    images = [photos[place % len(photos)] for place in range(len(truth))]
    return Predictions("pets", images, vocab(count), probabilities, truth, random.random(len(truth)))


def tagged(count: int, photos: list[Path]) -> Predictions:
    random = np.random.default_rng(count)
    images = [photos[place % len(photos)] for place in range(60)]
    targets = (random.random((60, count)) < 0.3).astype(int)
    probabilities = random.random((60, count)).astype(np.float32)
    return Predictions("planet", images, vocab(count), probabilities, targets, random.random(60))


def masked(count: int) -> MaskPredictions:
    random = np.random.default_rng(count)
    codes = np.arange(40 * 60).reshape(40, 60) // 2 % count
    example = MaskExample("frame.png", np.zeros((40, 60, 3)), codes, codes[::-1], 0.5)
    pixels = random.integers(0, 900, (count, count))
    return MaskPredictions("camvid", vocab(count), pixels, [example] * 3, [example])


def pointed(count: int, photos: list[Path]) -> PointPredictions:
    random = np.random.default_rng(count)
    targets = 40 * random.random((30, count, 2))
    images = [photos[place % len(photos)] for place in range(30)]
    return PointPredictions(
        "heads", images, vocab(count), targets + random.normal(size=targets.shape), targets
    )


def dataset(count: int) -> Any:
    counts = Counter({name: place + 1 for place, name in enumerate(vocab(count))})
    recipe = SimpleNamespace(name="pets", task="single-label")
    return SimpleNamespace(train=[0], valid=[1], class_counts=lambda _: counts, recipe=recipe)


PLOTS: dict[str, Callable[[int, list[Path]], Figure]] = {
    "confusion": lambda count, photos: classification.confusion(labelled(count, photos)),
    "per class": lambda count, photos: classification.per_class(labelled(count, photos)),
    "labels": lambda count, photos: classification.label_examples(labelled(count, photos), worst=True),
    "per tag": lambda count, photos: classification.per_tag(tagged(count, photos), 0.5),
    "tags": lambda count, photos: classification.tag_examples(tagged(count, photos), 0.5, worst=False),
    "codes": lambda count, _: segmentation.per_class(masked(count)),
    "masks": lambda count, _: segmentation.mask_examples(masked(count), worst=True),
    "pixels": lambda count, _: evaluation.pixel_confusion(masked(count).confusion, vocab(count), "camvid"),
    "errors": lambda count, photos: keypoints.error_histogram(pointed(count, photos)),
    "points": lambda count, photos: keypoints.point_examples(pointed(count, photos), worst=True),
    "balance": lambda count, _: balance.label_balance(dataset(count)),
}
SHEETS = ("labels", "tags", "masks", "points")
"""Take long, and depend less on the number of classes."""


@pytest.mark.parametrize(
    ("plot", "count"),
    [(plot, count) for plot in PLOTS for count in COUNTS if plot not in SHEETS or count in (2, 41, 1000)],
)
def test_all_can_be_read(plot: str, count: int, photos: list[Path], tmp_path: Path) -> None:
    figure = PLOTS[plot](count, photos)
    save_figure(figure, tmp_path / "plot.png", synthetic=True)
    assert figure.get_suptitle().endswith("(synthetic sample data)")
    assert_readable(figure)


@pytest.mark.parametrize("count", COUNTS)
def test_confusion(count: int, photos: list[Path]) -> None:
    """A matrix with numbers, one without, or the pairs that are confused most."""
    predictions = labelled(count, photos)
    figure = classification.confusion(predictions)
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    right = (predictions.probabilities.argmax(axis=1) == predictions.targets).sum()
    assert f"{right:,} of {count + 500:,} images right" in figure.get_suptitle().replace("\n", " ")
    if count <= MATRIX_LIMIT:
        assert len(names) == count and all(not name.isdigit() for name in names)
        numbers = [int(text.get_text()) for text in axes.texts]
        assert sum(numbers) == (count + 500 if count <= NUMBERS_LIMIT else 0)
    else:
        assert len(names) == 20 and all(" taken for " in name for name in names)
        wrong = [bar.get_width() for bar in axes.patches]
        assert wrong == sorted(wrong, reverse=True) and all(wrong)
        pairs = Counter(zip(predictions.targets, predictions.probabilities.argmax(axis=1)))
        assert wrong[0] == max(number for (truth, guess), number in pairs.items() if truth != guess)


@pytest.mark.parametrize("count", [41, 1000])
def test_no_confusion_at_all_is_said(count: int, photos: list[Path]) -> None:
    figure = classification.confusion(labelled(count, photos, right=1.0))
    assert_readable(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no confusion: every image is right"]


def test_numbers_fit_into_squares() -> None:
    numbers = [0, 999, 1000, 9949, 9951, 99_999, 999_499, 999_500, 12_345_678]
    assert list(map(short, numbers)) == ["0", "999", "1.0k", "9.9k", "10k", "100k", "999k", "1.0M", "12M"]


@pytest.mark.parametrize(
    "text", ["one two three four five", "中文 " + "很长的类别名称" * 9, "x" * 90, "", "a 中 b"]
)
def test_lines_are_no_wider_than_asked_for(text: str) -> None:
    lines = wrapped(text, 1.5).split("\n")
    assert text_width(lines) <= 1.5
    assert "".join("".join(lines).split()) == "".join(text.split())
