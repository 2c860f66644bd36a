"""Cats and dogs by file name: both layouts, balanced subsets, test photos, answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionkit.data.dogscats import choose, dog_answer, label, labelled_photos, photo_number, test_photos
from visionkit.data.problems import gathering
from visionkit.errors import DataError
from visionkit.inference.results import LabelPrediction

test_photos.__test__ = False  # type: ignore[attr-defined]  # a function of the package, called so


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def names(photos: list[Path]) -> list[str]:
    return [photo.name for photo in photos]


def test_both_layouts_give_the_same(tmp_path: Path) -> None:
    kaggle = touch(tmp_path / "a", *(f"train/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(12)))
    fastai = touch(
        tmp_path / "b",
        *(
            f"{'valid' if n in (3, 10) else 'train'}/{kind}s/{kind}.{n}.jpg"
            for kind in ("cat", "dog")
            for n in range(12)
        ),
    )
    expected = [f"{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(12)]
    assert names(labelled_photos(kaggle)) == names(labelled_photos(fastai)) == expected
    for seed in range(5):
        assert names(choose(labelled_photos(kaggle), 8, seed)) == names(
            choose(labelled_photos(fastai), 8, seed)
        )


@pytest.mark.parametrize("name", ["cow.1.jpg", "cat.jpg", "cat.x.jpg", "Cat.1.jpg", "cat.1.2.jpg"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", f"train/{name}")
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        labelled_photos(tmp_path)
    with gathering() as problems:
        assert names(labelled_photos(tmp_path)) == ["cat.0.jpg", "dog.0.jpg"]
    assert [problem.files for problem in problems] == [(tmp_path / "train" / name,)]


@given(
    st.integers(0, 30), st.integers(0, 30), st.integers(1, 40).map(lambda half: 2 * half), st.integers(0, 99)
)
def test_a_subset_is_balanced_and_fixed(cats: int, dogs: int, count: int, seed: int) -> None:
    photos = [Path(f"cat.{n}.jpg") for n in range(cats)] + [Path(f"dog.{n}.jpg") for n in range(dogs)]
    each = count // 2
    if count >= len(photos):
        assert choose(photos, count, seed) == photos
    elif min(cats, dogs) < each:
        with pytest.raises(DataError, match=f"--subset {count}"):
            choose(photos, count, seed)
    else:
        chosen = choose(photos, count, seed)
        assert chosen == choose(photos, count, seed)
        assert [label(photo) for photo in chosen] == ["cat"] * each + ["dog"] * each
        assert len(set(chosen)) == 2 * each and set(chosen) <= set(photos)
    assert choose(photos, None, seed) == photos


def test_another_seed_chooses_others() -> None:
    photos = [Path(f"{kind}.{n}.jpg") for kind in ("cat", "dog") for n in range(200)]
    assert choose(photos, 40, 1) != choose(photos, 40, 2)


def test_test_photos_by_their_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat.0.jpg", *(f"test/{n}.jpg" for n in (10, 9, 1, 100)))
    expected = ["1.jpg", "9.jpg", "10.jpg", "100.jpg"]
    assert names(test_photos(tmp_path)) == expected
    assert names(test_photos(tmp_path / "test")) == expected, "the folder itself may be named"
    (tmp_path / "test").rename(tmp_path / "test1")
    assert names(test_photos(tmp_path)) == expected


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train/cat.0.jpg"], "no test photos"),
        (["test/1.jpg", "test/a.jpg"], "not a.jpg"),
        (["test/1.jpg", "test/-2.jpg"], "not -2.jpg"),
        (["test/1.jpg", "test/01.png"], "has the number of"),
        (["test/notes.txt"], "no test photos"),
    ],
)
def test_wrong_test_photos(tmp_path: Path, files: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        test_photos(touch(tmp_path, *files))


@given(st.floats(0, 1), st.floats(0, 0.49), st.booleans())
def test_an_answer_is_the_clipped_probability_of_a_dog(dog: float, clip: float, turned: bool) -> None:
    vocab = ("dog", "cat") if turned else ("cat", "dog")
    probabilities = np.array([dog, 1 - dog] if turned else [1 - dog, dog])
    prediction = LabelPrediction("dog", dog, probabilities, vocab)
    value = float(dog_answer(prediction, clip))
    assert clip - 1e-6 <= value <= 1 - clip + 1e-6
    assert value == pytest.approx(min(max(dog, clip), 1 - clip), abs=1e-6)


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_a_photo_is_called_by_its_number(number: int, zeros: int) -> None:
    assert photo_number(Path("test") / f"{'0' * zeros}{number}.jpg") == str(number)
