"""The drawn boxes lie as cut-out ones do, and cannot be told by their colour."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from visionkit.sources.samples import openimages


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    openimages.draw(folder, 0)
    return folder


def test_folders_are_classes_and_names_are_photos(drawn: Path) -> None:
    files = sorted(drawn.rglob("*.jpg"))
    assert {file.parent.name for file in files} == set(openimages.FOODS)
    assert all(re.fullmatch(r"[0-9a-f]{16}_[12]\.jpg", file.name) for file in files)
    with (drawn / "photos.csv").open(newline="") as file:
        assert {row["ImageID"] for row in csv.DictReader(file)} == {file.name[:16] for file in files}
    assert len({file.name[:16] for file in files}) == 4 * openimages.PHOTOS_PER_CLASS < len(files)


def test_the_seed_decides_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openimages, "PHOTOS_PER_CLASS", 2)
    runs = []
    for number, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        openimages.draw(folder, seed)
        runs.append([file.read_bytes() for file in sorted(folder.rglob("*.*"))])
    first, again, other = runs
    assert first == again and not set(first) & set(other)


def test_the_mean_colour_does_not_tell_the_class(drawn: Path) -> None:
    files = sorted(drawn.rglob("*.jpg"))
    means = [np.asarray(Image.open(file)).reshape(-1, 3).mean(axis=0) for file in files]
    classes = [file.parent.name for file in files]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    groups = [file.name[:16] for file in files]
    assert cross_val_score(model, means, classes, groups=groups, cv=GroupKFold(5)).mean() < 0.4
