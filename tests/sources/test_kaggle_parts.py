"""Names in lists of files and in unpacked trees, and requests that do not wait for ever."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from visionkit.sources.archives import ARCHIVE_ENDINGS
from visionkit.sources.kaggle import patience
from visionkit.sources.kaggle.parts import find_part, is_archive, listed, take, unpacked_name
from visionkit.sources.kaggle.patience import patient_requests

WORDS = st.text("abcxyz_0", min_size=1, max_size=8)
ENDINGS = st.lists(st.sampled_from(ARCHIVE_ENDINGS), max_size=2).map("".join)
SUFFIXES = st.sampled_from(["", ".csv", ".json", ".bin"])


@given(st.lists(WORDS, max_size=3), WORDS, SUFFIXES, ENDINGS)
def test_folders_and_endings_of_archives_do_not_count(
    folders: list[str], word: str, suffix: str, ending: str
) -> None:
    name = "/".join([*folders, word + suffix + ending])
    assert unpacked_name(name) == word + suffix
    assert is_archive(name) == bool(ending)
    assert unpacked_name(name.upper()) == (word + suffix).upper()


@given(st.lists(WORDS, unique=True, min_size=1), st.data())
def test_each_file_of_a_list_is_found_by_its_unpacked_name(words: list[str], data: st.DataObject) -> None:
    names = {word: word + data.draw(SUFFIXES) for word in words}
    remote = {word: f"{data.draw(WORDS)}/{name}{data.draw(ENDINGS)}" for word, name in names.items()}
    for word, name in names.items():
        assert listed(name, remote.values()) == remote[word]
    assert listed("missing", remote.values()) is None


def test_the_file_in_the_fewest_folders_is_taken() -> None:
    assert listed("a.csv", ["old/2016/a.csv", "a.csv.zip", "old/a.csv"]) == "a.csv.zip"
    assert listed("train-jpg", ["train-jpg.torrent", "train-jpg-old.zip", "test-jpg.zip"]) is None


def put(tree: Path, *names: str) -> None:
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)


def test_a_part_is_the_inner_of_equally_named_folders(tmp_path: Path) -> None:
    put(
        tmp_path,
        "planet/planet/train-jpg/a.jpg",
        "test/test/test/b.jpg",
        "x/y/z/t.csv",
        "x/t.csv",
        "c.csv/c.csv",
    )
    assert find_part(tmp_path, "train-jpg") == tmp_path / "planet/planet/train-jpg"
    assert find_part(tmp_path, "test") == tmp_path / "test/test/test"
    assert find_part(tmp_path, "t.csv") == tmp_path / "x/t.csv"
    assert find_part(tmp_path, "c.csv") == tmp_path / "c.csv/c.csv"
    assert find_part(tmp_path, "test-jpg") is None


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize("keep", [True, False], ids=["keep", "move"])
def test_taking_a_part(keep: bool, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:

        def refuse(source: str, target: str) -> None:
            raise OSError("not supported")

        monkeypatch.setattr("os.link", refuse)
    put(tmp_path / "tree", "train/a.jpg", "train/deep/b.jpg", "t.csv")
    for number, name in enumerate(("train", "t.csv")):
        take(tmp_path / "tree" / name, tmp_path / "target" / name, keep, tmp_path / "work" / str(number))
        assert (tmp_path / "tree" / name).exists() == keep
    taken = [file for file in (tmp_path / "target").rglob("*") if file.is_file()]
    assert {file.relative_to(tmp_path / "target").as_posix() for file in taken} == {
        "train/a.jpg",
        "train/deep/b.jpg",
        "t.csv",
    }
    assert (tmp_path / "target/train/deep/b.jpg").read_text() == "train/deep/b.jpg"
    assert not any((tmp_path / "work").rglob("*")) if keep else not (tmp_path / "work").exists()


def test_a_request_of_ours_times_out_and_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TIMEOUT", (0.2, 0.2))
    seen: list[object] = []

    def answer(*arguments: object, **options: object) -> requests.Response:
        seen.append(options.get("timeout"))
        response = requests.Response()
        response.status_code = 200
        return response

    monkeypatch.setattr(requests.Session, "send", answer)
    with patient_requests(print):
        requests.get("http://127.0.0.1:1/ours")
        other = threading.Thread(target=requests.get, args=("http://127.0.0.1:1/other",))
        other.start()
        other.join()
    requests.get("http://127.0.0.1:1/later")
    assert seen == [(0.2, 0.2), None, None]
    assert requests.Session.send is answer


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        question = requests.Request("POST", f"http://127.0.0.1:{silent.getsockname()[1]}/").prepare()
        with pytest.raises(requests.exceptions.ReadTimeout), patient_requests(print, attempts=1):
            requests.Session().send(question)
