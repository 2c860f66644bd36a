"""The drawn samples of dogscats and fashionai have the layouts of the real data sets."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from visionkit.data.dogscats import labelled_photos, photo_number
from visionkit.data.dogscats import test_photos as numbered_photos
from visionkit.data.fashionai import VALUES, read_annotations
from visionkit.sources.samples import dogscats, fashionai

DRAW = {"dogscats": dogscats.draw, "fashionai": fashionai.draw}


def cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dogscats, "PHOTOS_OF_EACH", 3)
    monkeypatch.setattr(dogscats, "TEST_PHOTOS", 2)
    monkeypatch.setattr(fashionai, "PHOTOS", 6)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize("name", DRAW)
def test_the_seed_decides_every_byte(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_down(monkeypatch)
    drawn = []
    for number, seed in enumerate((3, 3, 4)):
        (tmp_path / str(number)).mkdir()
        DRAW[name](tmp_path / str(number), seed)
        drawn.append(contents(tmp_path / str(number)))
    first, again, other = drawn
    assert first == again
    assert all(first[path] != other[path] for path in first if path.endswith(".jpg"))


def test_dogscats_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_down(monkeypatch)
    dogscats.draw(tmp_path, 0)
    photos = labelled_photos(tmp_path)
    assert [photo.name for photo in photos] == [
        f"{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(3)
    ]
    with (tmp_path / "sample_submission.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    images = numbered_photos(tmp_path)
    assert [row[0] for row in rows] == ["id", *map(photo_number, images)]


def test_fashionai_layout(tmp_path: Path) -> None:
    fashionai.draw(tmp_path, 0)
    images = read_annotations(tmp_path, "skirt_length")
    counts = Counter(image.value for image in images)
    assert set(counts) == set(VALUES["skirt_length"])
    assert max(counts.values()) - min(counts.values()) <= 1
    maybes = [image for image in images if image.maybe]
    assert 0.1 < len(maybes) / len(images) < 0.6
    values = VALUES["skirt_length"]
    assert all(abs(values.index(image.value) - values.index(image.maybe[0])) == 1 for image in maybes)
    seen = [image for image in images if image.value != "Invisible"]
    colours = [np.asarray(Image.open(image.path)).mean(axis=(0, 1)) for image in seen]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    blind = cross_val_score(model, np.array(colours), [image.value for image in seen], cv=5).mean()
    assert blind < 0.4, "the mean colour does not tell one of five lengths"
