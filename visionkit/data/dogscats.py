"""The photos of Kaggle's dogs-vs-cats-redux competition: labels in file names, subsets, test photos."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from visionkit.data.images import image_files
from visionkit.data.problems import refuse
from visionkit.errors import DataError, listing
from visionkit.inference.submission import Submission
from visionkit.setting_types import setting
from visionkit.settings import ClassifierSettings

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.inference.results import LabelPrediction

CLASSES = ("cat", "dog")
TEST_FOLDERS = ("test", "test1")
"""Kaggle's name, and that of fast.ai's archive."""

_NAME = re.compile(r"(cat|dog)\.(\d+)\.[^.]+")


class SubsetSettings(ClassifierSettings):
    """How many of the photos to take."""

    subset: Annotated[
        Annotated[int, Field(ge=2, multiple_of=2)] | None,
        BeforeValidator(lambda given: None if given == "" else given),
        setting("Train and validate on so many photos, half of them cats; all if empty.", "Recipe"),
    ] = None


def label(photo: Path) -> str:
    """What a photo called `cat.0.jpg` or `dog.0.jpg` shows. Raises DataError for other names."""
    return _read_name(photo)[0]


def _read_name(photo: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(photo.name)
    if match is None:
        raise DataError(f"{photo}: not called cat.NUMBER.jpg or dog.NUMBER.jpg. Rename or remove it.")
    return match[1], int(match[2])


def labelled_photos(folder: Path) -> list[Path]:
    """The photos in `folder/train`, and in `folder/valid` where there is one, cats first, by their numbers.

    They lie there directly, as Kaggle packs them, or in `cats` and `dogs`, as fast.ai's archive DOGS has
    them. The order is the same in both layouts.

    Raises:
        DataError: `train` is missing or empty, or a file is called otherwise.
    """
    photos = image_files(folder / "train", recursive=True)
    if has_own_split(folder):
        photos += image_files(folder / "valid", recursive=True)
    named: list[tuple[str, int, Path]] = []
    for photo in photos:
        try:
            named.append((*_read_name(photo), photo))
        except DataError as error:
            refuse("unlabelled", str(error), photo)
    return [photo for *_, photo in sorted(named)]


def splitter(folder: Path, settings: SubsetSettings) -> Callable[[Any], Any]:
    """What divides the photos: `valid/` where there is one and all photos are used, else chance."""
    import fastai.vision.all as fv

    if has_own_split(folder) and settings.subset is None:
        return fv.FuncSplitter(lambda photo: photo.is_relative_to(folder / "valid"))
    return fv.RandomSplitter(settings.valid_pct, seed=settings.seed)


def has_own_split(folder: Path) -> bool:
    """Whether the data set says itself which photos validate, as fast.ai's does."""
    return (folder / "valid").is_dir()


def choose(photos: Sequence[Path], count: int | None, seed: int) -> list[Path]:
    """A random `count` of `photos`, half of them cats, in their order; all where there are no more.

    The choice depends on the names and the seed alone.

    Raises:
        DataError: there are fewer cats or dogs than half of `count`.
    """
    if count is None or count >= len(photos):
        return list(photos)
    each = count // 2
    chosen: set[Path] = set()
    for number, name in enumerate(CLASSES):
        of_class = [photo for photo in photos if label(photo) == name]
        if len(of_class) < each:
            raise DataError(
                f"--subset {count} takes {each:,} photos of each, and there are only {len(of_class):,} of "
                f"{name}s. Ask for {2 * len(of_class):,} at most, or leave --subset out."
            )
        chosen.update(random.Random(2 * seed + number).sample(of_class, each))
    return [photo for photo in photos if photo in chosen]


def subset_remark(dataset: Dataset) -> str:
    """Says so where `--subset` asks for more photos than there are; "" otherwise."""
    asked, found = getattr(dataset.settings, "subset", None), len(dataset.images)
    if asked is None or found >= asked:
        return ""
    return f"subset     all {found:,} photos: --subset {asked:,} asks for more than there are"


def test_photos(folder: Path) -> list[Path]:
    """The photos `1.jpg`, `2.jpg`, … in `folder/test`, `folder/test1` or `folder` itself, by their numbers.

    Raises:
        DataError: there are none, a name is no number, or two photos have the same one.
    """
    place = next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), folder)
    try:
        photos = image_files(place, recursive=place != folder)
    except DataError as error:
        raise DataError(
            f"{folder}: no test photos ({' or '.join(TEST_FOLDERS)}). visionkit data dogscats --test fetches "
            "them; --data names another folder."
        ) from error
    wrong = [photo.name for photo in photos if re.fullmatch(r"[0-9]+", photo.stem) is None]
    if wrong:
        raise DataError(
            f"{place}: test photos are called by their numbers, such as 1.jpg, and not {listing(wrong, 3)}. "
            "Move other files away."
        )
    by_number: dict[int, Path] = {}
    for photo in photos:
        other = by_number.setdefault(int(photo.stem), photo)
        if other != photo:
            raise DataError(f"{photo}: has the number of {other.name}. Keep one of the two.")
    return [by_number[number] for number in sorted(by_number)]


def photo_number(photo: Path) -> str:
    """What the row of a test photo is called: its number."""
    return str(int(photo.stem))


def dog_answer(prediction: LabelPrediction, clip: float) -> str:
    """The probability of a dog, at least `clip` away from 0 and 1."""
    probability = float(prediction.probabilities[prediction.vocab.index("dog")])
    return f"{min(max(probability, clip), 1 - clip):.6f}"


SUBMISSION = Submission(
    sample="sample_submission.csv",
    header=("id", "label"),
    test_images=test_photos,
    row=photo_number,
    answer=dog_answer,
    clip=0.02,
)
