"""Handing in a file through Kaggle's real client, to a server that plays Kaggle's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sources.kaggle_server import KEY, SLUG, Kaggle, kaggle_server

PAGE = f"https://www.kaggle.com/competitions/{SLUG}/submissions"
RULES = "You must accept this competition's rules before you can submit."
ROWS = b"image_name,tags\n" + b"".join(b"test_%d,clear primary\n" % number for number in range(5000))


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        yield kaggle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "submission.csv").write_bytes(ROWS)
    return tmp_path / "submission.csv"


REFUSALS = {
    "rules": ("StartSubmissionUpload", (403, RULES), [RULES, f"{SLUG}/rules"]),
    "closed": (
        "CreateSubmission",
        (403, "Submissions are closed"),
        ["Submissions are closed", "still takes"],
    ),
    "unknown": ("StartSubmissionUpload", (404, "Not found"), ["no competition", "Not found"]),
    "key": ("StartSubmissionUpload", (401, "Unauthenticated"), ["refused the credentials"]),
    "allowance": ("CreateSubmission", (400, "Your team used its daily allowance"), ["daily allowance", PAGE]),
    "too often": ("StartSubmissionUpload", (429, "Too many requests"), ["429", PAGE]),
    "unsure": ("CreateSubmission", (500, "Internal error"), ["500", "see whether it is in", PAGE]),
}


@pytest.mark.parametrize(("question", "error", "words"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_is_one_message(
    kaggle: Kaggle, file: Path, question: str, error: tuple[int, str], words: list[str]
) -> None:
    kaggle.errors = {question: [error]}
    said, notes = kaggle.hand_in(file, "try", **KEY)
    assert all(word in said["error"] for word in words), said
    assert "\n" not in said["error"]
    assert kaggle.entered == []
    asked = sum(line.startswith(question) for line in kaggle.asked)
    assert asked == (4 if error[0] == 429 else 1), "what may have been entered is not asked again"
    assert ("trying again in 17 s" in notes) == (error[0] == 429)


def test_an_upload_that_breaks_is_sent_again_as_a_whole(kaggle: Kaggle, file: Path) -> None:
    kaggle.puts = [503, 0]
    said, notes = kaggle.hand_in(file, "try", **KEY)
    assert said == {"answer": "Successfully submitted to the competition"}
    assert notes.count("waiting    Kaggle: ") == 2 and "Kaggle: 503" in notes
    assert list(kaggle.uploaded.values()) == [ROWS]
    assert len(kaggle.entered) == 1


def test_an_upload_that_is_not_taken(kaggle: Kaggle, file: Path) -> None:
    kaggle.puts = [403]
    said, _ = kaggle.hand_in(file, "try", **KEY)
    assert "storage did not take the file (403 Forbidden). It was not submitted" in said["error"]
    assert kaggle.entered == []


def test_an_answer_that_never_comes_may_count(kaggle: Kaggle, file: Path) -> None:
    kaggle.hangs = ["CreateSubmission"] * 4
    said, notes = kaggle.hand_in(file, "try", timeout=2.0, **KEY)
    assert "gave no answer (no answer within 2 s)" in said["error"] and PAGE in said["error"]
    assert "trying again" not in notes
    assert sum(line.startswith("CreateSubmission") for line in kaggle.asked) == 1


def test_without_credentials(kaggle: Kaggle, file: Path) -> None:
    said, _ = kaggle.hand_in(file, "try")
    assert "there are no Kaggle credentials" in said["error"] and "Or do it there." in said["error"]
    assert kaggle.asked == []
