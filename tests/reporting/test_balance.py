"""The plot of how many images each label has."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Cli, train_fast
from matplotlib.figure import Figure

from visionkit.data.dataset import Dataset
from visionkit.recipe import Recipe
from visionkit.registry import get_recipe
from visionkit.reporting.balance import BARS, label_balance

pytestmark = pytest.mark.usefixtures("unpainted")


def opened(recipe: Recipe, folder: Path, **options: object) -> Dataset:
    return Dataset.find(recipe, recipe.resolved(**options), folder)


def bars(figure: Figure) -> dict[str, tuple[int, int]]:
    """Training and validation images by label, as the bars are long."""
    figure.canvas.draw()
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    widths = [[round(bar.get_width()) for bar in container] for container in axes.containers]
    return dict(zip(names, zip(*widths)))


def test_labels(dogscats: Path) -> None:
    dataset = opened(get_recipe("dogscats"), dogscats)
    shown = bars(label_balance(dataset))
    train, valid = dataset.class_counts(dataset.train), dataset.class_counts(dataset.valid)
    assert shown == {name: (train[name], valid[name]) for name in ("cat", "dog")}
    assert sum(map(sum, shown.values())) == 24


def test_tags_the_most_frequent_first(planet: Path) -> None:
    dataset = opened(get_recipe("planet"), planet)
    shown = bars(label_balance(dataset))
    assert {name: sum(parts) for name, parts in shown.items()} == dict(dataset.class_counts())
    assert next(iter(shown)) == "primary"


def test_many_labels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for breed in range(BARS + 10):
        for number in range(1 + breed % 3):
            (tmp_path / "images" / f"breed {breed}_{number}.jpg").write_bytes(b"x")
    figure = label_balance(opened(get_recipe("pets"), tmp_path))
    assert len(bars(figure)) == BARS
    assert "least frequent" in figure.get_suptitle()


@pytest.mark.parametrize("dataset", ["planet", "camvid"], indirect=True)
def test_every_run_with_labels_has_it(cli: Cli, dataset: tuple[str, Path]) -> None:
    name, folder = dataset
    result = train_fast(cli, name, folder, "--out", "run")
    assert result.exit_code == 0, result.output
    assert Path("run/plots/balance.png").is_file() == (name == "planet")
