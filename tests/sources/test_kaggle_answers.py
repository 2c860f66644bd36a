"""What the user is told where Kaggle refuses, and where a competition's files come from a mirror."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sources.kaggle_server import KEY, SLUG, TABLE, Kaggle, kaggle_server, photos, tar_7z, zipped
from visionkit.recipes import planet

from visionkit.errors import VisionkitError
from visionkit.sources.kaggle import KaggleCompetition, KaggleDataset
from visionkit.sources.kaggle.answers import Asked

SOURCE = KaggleCompetition(SLUG, ("train-jpg", "train_v2.csv"))
RULES = "You must accept this competition's rules before you'll be able to download files."
MIRROR = "nikitarom/planets-dataset"
TREE = (
    photos("planet/planet/train-jpg", "train_0.jpg", "train_1.jpg")
    | photos("planet/planet/test-jpg", "test_0.jpg")
    | photos("test-jpg-additional/test-jpg-additional", "file_0.jpg")
    | {
        "planet/planet/train_classes.csv": TABLE,
        "planet/planet/sample_submission.csv": b"image_name,tags\ntest_0,haze\n",
    }
)


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        kaggle.files = {"train-jpg.tar.7z": tar_7z(photos("train-jpg", "a.jpg")), "train_v2.csv": TABLE}
        yield kaggle


REFUSALS = {
    "unknown key": (
        "ListDataFiles",
        (401, "Unauthenticated"),
        ["refused the credentials", "Unauthenticated", "https://www.kaggle.com/settings/api"],
    ),
    "rules not accepted": (
        "DownloadDataFile",
        (403, RULES),
        [RULES, f"Accept the competition's rules at https://www.kaggle.com/competitions/{SLUG}/rules"],
    ),
    "rules not accepted for the list": (
        "ListDataFiles",
        (403, RULES),
        [RULES, f"https://www.kaggle.com/competitions/{SLUG}/rules"],
    ),
    "unknown competition": (
        "ListDataFiles",
        (404, "Competition not found"),
        [f"Kaggle does not have the competition {SLUG}", "Competition not found", "name right", SOURCE.url],
    ),
    "overloaded": ("DownloadDataFile", (500, "Internal error"), ["500", "Internal error", "later"]),
}


@pytest.mark.parametrize(("question", "error", "named"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_says_what_to_do(
    question: str, error: tuple[int, str], named: list[str], kaggle: Kaggle
) -> None:
    kaggle.errors = {question: [error]}
    message = kaggle.fetch(SOURCE, **KEY)["error"]
    assert all(part in message for part in named), message
    assert "\n" not in message
    assert kaggle.contents() == {}


@pytest.mark.parametrize("how", ["unlisted", "gone"])
def test_a_file_that_is_missing_is_named_with_what_there_is(how: str, kaggle: Kaggle) -> None:
    getattr(kaggle, how).add("train-jpg.tar.7z")
    message = kaggle.fetch(SOURCE, **KEY)["error"]
    assert f"the competition {SLUG} does not serve train-jpg. It lists " in message
    assert "train_v2.csv" in message and SOURCE.url in message and "--data" in message
    assert kaggle.contents() == {"train_v2.csv": TABLE}  # what there is, is kept


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), ValueError("Downloaded file size (4)")],
    ids=["disk", "size"],
)
def test_a_fault_of_the_disk_is_one_message(error: Exception) -> None:
    with (
        pytest.raises(
            VisionkitError, match=r"^big\.bin: the download broke off \(.*\)\. Mend that"
        ) as raised,
        Asked("big.bin", "", "").answered(),
    ):
        raise error
    assert str(error) in str(raised.value)


def test_an_answer_of_another_shape_is_one_message(kaggle: Kaggle) -> None:
    kaggle.answers = {"ListDataFiles": {"files": [17]}}
    message = kaggle.fetch(SOURCE, **KEY)["error"]
    assert "pip install --upgrade kaggle" in message and f"the competition {SLUG}" in message


DATASET_REFUSALS = {
    "unknown": ((404, "Dataset not found"), ["does not have the data set a/b", "Check the name at"]),
    "private": ((403, "Permission denied"), ["does not give out the data set a/b", "logged in"]),
}


@pytest.mark.parametrize(("error", "named"), DATASET_REFUSALS.values(), ids=DATASET_REFUSALS)
def test_a_data_set_that_is_refused(error: tuple[int, str], named: list[str], kaggle: Kaggle) -> None:
    kaggle.errors = {"DownloadDataset": [error]}
    source = KaggleDataset("a/b")
    message = kaggle.fetch(source, **KEY)["error"]
    assert all(part in message for part in [*named, error[1], "https://www.kaggle.com/datasets/a/b"])
    assert not source.is_there(kaggle.store)


@pytest.mark.parametrize("how", ["unlisted", "gone", "no competition"])
def test_planet_falls_back_to_the_mirror_and_says_so(how: str, kaggle: Kaggle) -> None:
    source = planet.recipe.source
    kaggle.datasets = {MIRROR: zipped(TREE)}
    served = {"train_v2.csv"}
    if how == "no competition":
        kaggle.errors = {"ListDataFiles": [(404, "Competition not found")]}
        served = set()
    else:
        getattr(kaggle, how).add("train-jpg.tar.7z")
    said = kaggle.fetch(source, **KEY)
    assert said["folder"] == str(kaggle.folder)
    (note,) = (note for note in said["notes"] if note.startswith("mirror"))
    assert "no longer serves train-jpg" in note
    assert f"taking the mirror data set {MIRROR} instead" in note
    assert f"https://www.kaggle.com/datasets/{MIRROR}" in note
    contents = kaggle.contents()
    assert contents["train-jpg/train_1.jpg"] == b"train_1.jpg"
    assert contents["train_v2.csv"] == TABLE
    record = contents["SOURCE.txt"].decode()
    assert f"train-jpg: from https://www.kaggle.com/datasets/{MIRROR}" in record
    assert ("train_v2.csv" in record) == ("train_v2.csv" not in served)
    assert not (kaggle.folder / ".downloads").exists()

    # Later nothing is fetched again, and of the test sets only what the mirror did not bring.
    kaggle.asked.clear()
    assert kaggle.fetch(source) == {"folder": str(kaggle.folder), "notes": [], "bars": []}
    kaggle.errors = {}
    kaggle.files["test_v2_file_mapping.csv"] = b"old,new\n"
    said = kaggle.fetch(source.with_test(), **KEY)
    assert "folder" in said, said
    assert kaggle.downloads() == ["DownloadDataFile test_v2_file_mapping.csv"]
    assert contents.items() <= kaggle.contents().items()
    assert kaggle.contents()["test-jpg/test_0.jpg"] == b"test_0.jpg"
    assert kaggle.contents()["test-jpg-additional/file_0.jpg"] == b"file_0.jpg"
    assert kaggle.contents()["sample_submission_v2.csv"] == TREE["planet/planet/sample_submission.csv"]


def test_a_mirror_that_is_there_already_is_used_and_left_whole(kaggle: Kaggle) -> None:
    dataset = KaggleDataset(MIRROR)
    kaggle.datasets = {MIRROR: zipped(TREE)}
    assert "folder" in kaggle.fetch(dataset, **KEY)
    kaggle.unlisted.add("train-jpg.tar.7z")
    kaggle.asked.clear()
    assert "folder" in kaggle.fetch(planet.recipe.source, **KEY)
    assert kaggle.downloads() == ["DownloadDataFile train_v2.csv"]
    assert kaggle.contents()["train-jpg/train_0.jpg"] == b"train_0.jpg"
    root = dataset.folder(kaggle.store)
    left = {
        file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }
    assert left == TREE


def test_what_the_mirror_lacks_is_said_at_once(kaggle: Kaggle) -> None:
    kaggle.files = {"train_v2.csv": TABLE}
    kaggle.datasets = {MIRROR: zipped(photos("planet/train-jpg", "train_0.jpg"))}
    message = kaggle.fetch(planet.recipe.source.with_test(), **KEY)["error"]
    lacking = "test-jpg, test-jpg-additional, test_v2_file_mapping.csv, sample_submission_v2.csv"
    assert f"nor its mirror {MIRROR} has {lacking}." in message
    assert "\n" not in message
    assert set(kaggle.contents()) >= {"train_v2.csv", "train-jpg/train_0.jpg", "SOURCE.txt"}


def test_a_mirror_that_is_gone_too(kaggle: Kaggle) -> None:
    kaggle.unlisted.add("train-jpg.tar.7z")
    said = kaggle.fetch(planet.recipe.source, **KEY)
    assert f"Kaggle does not have the data set {MIRROR}" in said["error"]
    assert "--data" in said["error"]
    assert not (kaggle.folder / "train-jpg").exists()


def test_rules_that_are_not_accepted_are_no_reason_for_the_mirror(kaggle: Kaggle) -> None:
    kaggle.datasets = {MIRROR: zipped(TREE)}
    kaggle.errors = {"DownloadDataFile": [(403, RULES)]}
    assert "/rules" in kaggle.fetch(planet.recipe.source, **KEY)["error"]
    assert not any(question.startswith("DownloadDataset") for question in kaggle.asked)


def test_the_mirror_is_not_asked_where_the_competition_serves_all(kaggle: Kaggle) -> None:
    source = replace(planet.recipe.source, test=())
    assert "folder" in kaggle.fetch(source, **KEY)
    assert not (kaggle.folder / "SOURCE.txt").exists()
    assert not any(question.startswith("DownloadDataset") for question in kaggle.asked)
