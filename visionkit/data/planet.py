"""Kaggle's planet competition: where its chips are, and what is handed in about the test chips."""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data.images import image_files
from visionkit.data.tags import TaggedImage, read_tags
from visionkit.errors import DataError
from visionkit.inference.submission import Submission
from visionkit.sources.kaggle import KaggleCompetition, KaggleMirror

if TYPE_CHECKING:
    from visionkit.inference.results import TagPrediction

SOURCE = KaggleCompetition(
    "planet-understanding-the-amazon-from-space",
    files=("train-jpg", "train_v2.csv"),
    test=("test-jpg", "test-jpg-additional", "test_v2_file_mapping.csv", "sample_submission_v2.csv"),
    mirror=KaggleMirror(
        "nikitarom/planets-dataset",
        (("train_classes.csv", "train_v2.csv"), ("sample_submission.csv", "sample_submission_v2.csv")),
    ),
)

TEST_FOLDERS = ("test-jpg", "test-jpg-additional")
"""The second holds `file_0.jpg` …, which the competition asks about as well."""


def labelled_chips(folder: Path) -> list[TaggedImage]:
    """The chips with their tags, in Kaggle's layout or in that of fast.ai's PLANET_SAMPLE.

    Raises:
        DataError: as `read_tags`.
    """
    kaggle = (folder / "train_v2.csv").is_file()
    table, chips = ("train_v2.csv", "train-jpg") if kaggle else ("labels.csv", "train")
    return read_tags(folder / table, folder / chips)


def test_chips(folder: Path) -> list[Path]:
    """The chips `test_0.jpg`, … and `file_0.jpg`, … in `folder`'s test folders, or in `folder` itself.

    They are in the order of the folders, then of their numbers.

    Raises:
        DataError: there are none.
    """
    places = [folder / name for name in TEST_FOLDERS if (folder / name).is_dir()]
    try:
        if not places:
            return sorted(image_files(folder), key=_by_number)
        return [
            chip for place in places for chip in sorted(image_files(place, recursive=True), key=_by_number)
        ]
    except DataError as error:
        raise DataError(
            f"{folder}: no test chips ({' and '.join(TEST_FOLDERS)}). visionkit data planet --test fetches "
            "them; --data names another folder."
        ) from error


def tags_answer(prediction: TagPrediction, clip: float) -> str:
    """The tags, separated by spaces; none where the model's decision is that there are none."""
    return " ".join(prediction.tags)


def _by_number(chip: Path) -> list[Any]:
    """`test_2` goes before `test_10`."""
    parts: list[Any] = re.split(r"([0-9]+)", chip.stem)
    parts[1::2] = map(int, parts[1::2])
    return parts


SUBMISSION = Submission(
    sample="sample_submission_v2.csv",
    header=("image_name", "tags"),
    test_images=test_chips,
    row=attrgetter("stem"),
    answer=tags_answer,
)
