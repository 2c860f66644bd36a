"""Models to the Hugging Face Hub and back, through its real client, on a server that plays the Hub."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli, noise
from huggingface_hub import constants
from huggingface_hub.utils import validate_repo_id
from hypothesis import given
from hypothesis import strategies as st
from inference.hub_server import READER, WRITER, Hub, Repository, hub_server
from inference.stored import stored_run
from PIL import Image

import visionkit
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.hub import HubModel
from visionkit.runs import Run

NAME = "somebody/pets-small"
FILES = {"README.md", "model.json", "model.safetensors"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The client reads its variables when it is imported, so what it made of them is changed here."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with hub_server() as hub:
        at(hub.url, monkeypatch)
        yield hub


def at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + path)


@pytest.fixture
def run(cli: Cli, hub: Hub) -> Run:
    return stored_run(Path("run"), "single-label", Path("/nowhere"))


@pytest.fixture
def pushed(cli: Cli, run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The run's model on the Hub."""
    monkeypatch.setenv("HF_TOKEN", WRITER)
    result = cli("push", "run", NAME)
    assert result.exit_code == 0, result.output
    monkeypatch.delenv("HF_TOKEN")
    return hub.repositories[NAME]


def test_there_and_back(cli: Cli, pushed: Repository, hub: Hub) -> None:
    commit = pushed.commits[pushed.branches["main"]]
    assert commit.keys() - {".gitattributes"} == FILES and len(pushed.messages) == 2
    for name in FILES:
        assert commit[name] == Path("run/model", name).read_bytes()
    assert f'visionkit.load("hf:{NAME}")' in commit["README.md"].decode()
    assert not pushed.private

    hub.asked.clear()
    model = visionkit.load(f"hf:{NAME}", device="cpu")
    photo = Image.fromarray(noise(1, 50, 40))
    same = visionkit.load("run", device="cpu").predict(photo).probabilities
    np.testing.assert_array_equal(model.predict(photo).probabilities, same)
    fetched = {path.rsplit("/", 1)[-1] for path in hub.asked if "/resolve/" in path}
    assert fetched == {"model.json", "model.safetensors"}, "nothing else is fetched"

    hub.asked.clear()
    visionkit.load(f"hf:{NAME}", device="cpu")
    assert not any("/resolve/" in path for path in hub.asked if path.startswith("GET")), "it is in the cache"
    hub.errors = {"GET": 503, "HEAD": 503}
    assert visionkit.load(f"hf:{NAME}", device="cpu").vocab == model.vocab, "the cache serves offline"
    Image.fromarray(noise(1, 50, 40)).save("photo.png")
    predicted = cli("predict", f"hf:{NAME}", "photo.png")
    assert predicted.exit_code == 0, predicted.output


def test_a_branch_and_a_message(cli: Cli, pushed: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    first = pushed.branches["main"]
    result = cli("push", "run", NAME, "--revision", "next", "--message", "another try")
    assert result.exit_code == 0 and f"load it    visionkit load hf:{NAME}@next" in result.output
    assert pushed.messages[-1] == "another try"
    assert pushed.branches["main"] == first != pushed.branches["next"]
    text = pushed.commits[pushed.branches["next"]]["README.md"].decode()
    assert f'visionkit.load("hf:{NAME}@next")' in text
    for revision in ("next", first):
        assert visionkit.load(f"hf:{NAME}@{revision}", device="cpu").folder.name == (
            pushed.branches["next"] if revision == "next" else first
        )
    with pytest.raises(VisionkitError, match=f"hf:{NAME}@gone: there is no such branch"):
        visionkit.load(f"hf:{NAME}@gone")


def test_private_models_need_a_token(cli: Cli, run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    assert cli("push", "run", NAME, "--private").exit_code == 0
    assert hub.repositories[NAME].private
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(VisionkitError, match="it is private and without a token one does not see it") as told:
        visionkit.load(f"hf:{NAME}")
    assert "hf auth login" in str(told.value)
    monkeypatch.setenv("HF_TOKEN", READER)
    assert visionkit.load(f"hf:{NAME}", device="cpu").task == "single-label"


def test_load_says_what_it_is(cli: Cli, pushed: Repository) -> None:
    result = cli("load", f"hf:{NAME}", "--out", "copy/here")
    assert result.exit_code == 0, result.output
    assert "model      pets: single-label" in result.output
    assert "names      " in result.output and "trained on drawn images" in result.output
    assert "folder     copy/here" in result.output
    assert {file.name for file in Path("copy/here").iterdir()} == {"model.json", "model.safetensors"}
    assert not any(file.is_symlink() for file in Path("copy/here").iterdir())
    assert visionkit.load("copy/here", device="cpu").task == "single-label"
    again = cli("load", f"hf:{NAME}", "--out", "copy/here")
    assert again.exit_code == 2 and "is there already" in again.output
    assert cli("load", "copy/here").exit_code == 0


def test_a_card_that_was_changed_by_hand_is_kept(
    cli: Cli, pushed: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    card = Path("run/model/README.md")
    card.write_text(card.read_text() + "\nMy words.\n")
    result = cli("push", "run", NAME)
    assert result.exit_code == 0 and "as it was changed by hand" in result.output
    assert pushed.commits[pushed.branches["main"]]["README.md"].decode().endswith("\nMy words.\n")
    card.write_text("no front matter\n")
    refused = cli("push", "run", NAME)
    assert refused.exit_code == 1 and "does not take the card" in refused.output


PUSHES = {
    "no token": ("", {}, "there is no token"),
    "a wrong token": ("hf_wrong", {}, "the token in $HF_TOKEN is not valid"),
    "may only read": (READER, {}, "may not do this"),
    "a bad day": (WRITER, {f"POST /api/models/{NAME}/commit": 500}, "answered 500"),
    "storage": (WRITER, {"PUT /lfs": 403}, "may not do this"),
}


@pytest.mark.parametrize(("token", "errors", "words"), PUSHES.values(), ids=PUSHES)
def test_a_push_that_fails_is_one_message(
    cli: Cli,
    run: Run,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    errors: dict[str, int],
    words: str,
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.errors = errors
    result = cli("push", "run", NAME)
    assert result.exit_code == 1 and words in result.output, result.output
    assert result.output.count("Error:") == 1 and f"hf:{NAME}" in result.output
    made = hub.repositories.get(NAME)
    assert made is None or made.messages == ["initial commit"], "one commit, or none"


def test_loads_that_fail_are_one_message(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hub.repositories["a/b"] = Repository()
    made.commit("main", {"pytorch_model.bin": b"pickle", "model.json": b"{}"}, "theirs")
    with pytest.raises(
        VisionkitError, match=r"a/b: has no model\.safetensors, so it is no model of visionkit"
    ):
        visionkit.load("hf:a/b")
    made.commit("main", {"model.safetensors": b"x"}, "both")
    with pytest.raises(VisionkitError, match=r"model\.json: "):
        visionkit.load("hf:a/b")
    made.gated = True
    hub.repositories["a/c"] = Repository(gated=True)
    with pytest.raises(VisionkitError, match=r"asks to accept terms first: open .*a/c"):
        visionkit.load("hf:a/c")
    with pytest.raises(VisionkitError, match="has no such model, or it is private"):
        visionkit.load("hf:a/d")
    hub.errors = {"GET /api/models/a/e": 429}
    with pytest.raises(VisionkitError, match=r"answered 429.* and is not in the cache. Call again later"):
        visionkit.load("hf:a/e")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(VisionkitError, match=r"\$HF_HUB_OFFLINE keeps the client .* and is not in the cache"):
        visionkit.load("hf:a/e")


def test_a_wrong_name_is_told_as_it_was_written(cli: Cli) -> None:
    """Rich would make a picture of the letter between colons."""
    result = cli("load", "hf:a")
    assert result.exit_code == 2
    assert "Error: hf:a: no name of a model on the Hugging Face Hub" in result.output
    assert cli("push", "x", "hf:a/b", "--revision", "x..y").exit_code == 2


def test_no_connection(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    at(nowhere, monkeypatch)
    with pytest.raises(VisionkitError, match=r"the Hugging Face Hub cannot be reached .* not in the cache"):
        visionkit.load("hf:a/b")


def test_the_whole_way_as_users_go_it(pushed: Repository, hub: Hub, tmp_path: Path) -> None:
    """A process of its own, which gets the Hub's address by $HF_ENDPOINT, and prints only the answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "visionkit", "load", f"hf:{NAME}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == f"fetching   hf:{NAME}, where it is not in the cache\n"
    assert "model      pets: single-label" in result.stdout


@given(st.from_regex(r"[\w-]{1,4}/[\w.-]{0,5}(@[\w./-]{0,4})?", fullmatch=True))
def test_a_name_is_taken_or_refused(text: str) -> None:
    """What is taken, the Hub's client takes too; it refuses some, as we do in one message."""
    try:
        model = HubModel.parse(f"hf:{text}")
    except UsageError:
        with pytest.raises(UsageError, match="Write hf:OWNER/NAME"):
            HubModel.parse(text)
        return
    validate_repo_id(model.name)
    assert str(model) == f"hf:{text}" and HubModel.parse(text) == model
    assert ".." not in str(model), "it stays in its place in the cache"
