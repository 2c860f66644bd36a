"""Every way to log in to Kaggle, and the one message where it fails; through the real client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sources.kaggle_server import KEY, SLUG, TABLE, Kaggle, kaggle_server

from visionkit.sources.kaggle import KaggleCompetition

SOURCE = KaggleCompetition(SLUG, ("train_v2.csv",))
SETTINGS = "https://www.kaggle.com/settings/api"
PAIR = json.dumps({"username": "somebody", "key": "0123456789abcdef"})
BASIC = "Basic " + base64.b64encode(b"somebody:0123456789abcdef").decode()


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    with kaggle_server(tmp_path) as kaggle:
        kaggle.files = {"train_v2.csv": TABLE}
        yield kaggle


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def log_in(home: Path, minutes: int, access: str = "KGAT_oauth") -> Path:
    """What `kaggle auth login` leaves; the access token expires in so many minutes."""
    expires = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    content = {
        "refresh_token": "refresh",
        "access_token": access,
        "access_token_expiration": expires.isoformat(),
        "username": "somebody",
        "scopes": [],
    }
    return put(home / ".kaggle" / "credentials.json", json.dumps(content))


def token_variable(home: Path) -> dict[str, str]:
    return {"KAGGLE_API_TOKEN": "KGAT_0123"}


def token_variable_with_file(home: Path) -> dict[str, str]:
    return {"KAGGLE_API_TOKEN": str(put(home / "token", "KGAT_0123\n"))}


def token_file(home: Path) -> dict[str, str]:
    put(home / ".kaggle" / "access_token", "KGAT_0123\n")
    return {}


def token_file_of_windows(home: Path) -> dict[str, str]:
    put(home / ".kaggle" / "access_token.txt", "KGAT_0123")
    return {}


def key_variables(home: Path) -> dict[str, str]:
    return KEY


def key_in_home(home: Path) -> dict[str, str]:
    put(home / ".kaggle" / "kaggle.json", PAIR)
    return {}


def key_readable_by_all(home: Path) -> dict[str, str]:
    put(home / ".kaggle" / "kaggle.json", PAIR).chmod(0o644)  # the client prints a warning
    return {}


def key_in_config(home: Path) -> dict[str, str]:
    put(home / ".config" / "kaggle" / "kaggle.json", PAIR)
    return {}


def key_in_named_folder(home: Path) -> dict[str, str]:
    put(home / "elsewhere" / "kaggle.json", PAIR)
    return {"KAGGLE_CONFIG_DIR": str(home / "elsewhere")}


def fresh_log_in(home: Path) -> dict[str, str]:
    log_in(home, minutes=60)
    return {}


def log_in_to_refresh(home: Path) -> dict[str, str]:
    log_in(home, minutes=-60)
    return {}


def token_beside_broken_key(home: Path) -> dict[str, str]:
    put(home / ".kaggle" / "kaggle.json", "{")
    return token_variable(home)


def verbose_client(home: Path) -> dict[str, str]:
    return KEY | {"VERBOSE": "1"}


WAYS = {
    token_variable: "Bearer KGAT_0123",
    token_variable_with_file: "Bearer KGAT_0123",
    token_file: "Bearer KGAT_0123",
    token_file_of_windows: "Bearer KGAT_0123",
    key_variables: BASIC,
    key_in_home: BASIC,
    key_readable_by_all: BASIC,
    key_in_config: BASIC,
    key_in_named_folder: BASIC,
    fresh_log_in: "Bearer KGAT_oauth",
    log_in_to_refresh: "Bearer KGAT_fresh",
    token_beside_broken_key: "Bearer KGAT_0123",
    verbose_client: BASIC,
}


@pytest.mark.parametrize(("prepare", "sent"), WAYS.items(), ids=[way.__name__ for way in WAYS])
def test_each_way_to_log_in(prepare: Callable[[Path], dict[str, str]], sent: str, kaggle: Kaggle) -> None:
    said = kaggle.fetch(SOURCE, **prepare(kaggle.home))
    assert "folder" in said, said
    assert kaggle.contents() == {"train_v2.csv": TABLE}
    assert kaggle.accounts[-1] == sent


def test_without_credentials_the_message_says_where_to_get_them(kaggle: Kaggle) -> None:
    message = kaggle.fetch(SOURCE)["error"]
    assert message.startswith("there are no Kaggle credentials")
    for part in (SETTINGS, "KAGGLE_API_TOKEN", "~/.kaggle/access_token", "kaggle auth login", "kaggle.json"):
        assert part in message
    for part in (SOURCE.url, "--data", "--sample"):
        assert part in message
    assert kaggle.asked == []
    assert not kaggle.store.exists()


BROKEN_KEYS = {
    "not JSON": ("{", "is not JSON"),
    "empty": ("", "is not JSON"),
    "not an object": ("[1]", "is not a JSON object"),
    "without a key": ('{"username": "somebody"}', "has no key"),
    "without anything": ("{}", "has no username and no key"),
    "with an empty key": ('{"username": "somebody", "key": ""}', "has no key"),
}


@pytest.mark.parametrize(("content", "fault"), BROKEN_KEYS.values(), ids=BROKEN_KEYS)
def test_a_broken_kaggle_json_is_named(content: str, fault: str, kaggle: Kaggle) -> None:
    file = put(kaggle.home / ".kaggle" / "kaggle.json", content)
    kaggle.errors = {"ListDataFiles": [(401, "Unauthenticated")]}
    message = kaggle.fetch(SOURCE)["error"]
    assert str(file) in message and fault in message
    assert SETTINGS in message
    assert "\n" not in message


def test_a_kaggle_json_that_the_client_does_not_read_is_named(kaggle: Kaggle) -> None:
    (kaggle.home / ".kaggle").mkdir()
    file = put(kaggle.home / ".config" / "kaggle" / "kaggle.json", PAIR)
    message = kaggle.fetch(SOURCE)["error"]
    assert str(file) in message and "move it there" in message


def test_half_a_pair_of_variables_is_named(kaggle: Kaggle) -> None:
    message = kaggle.fetch(SOURCE, KAGGLE_USERNAME="somebody")["error"]
    assert "$KAGGLE_USERNAME is set, and $KAGGLE_KEY is not" in message


def test_a_key_in_the_environment_completes_the_file(kaggle: Kaggle) -> None:
    put(kaggle.home / ".kaggle" / "kaggle.json", '{"username": "somebody"}')
    assert "folder" in kaggle.fetch(SOURCE, KAGGLE_KEY="0123456789abcdef")
    assert kaggle.accounts[-1] == BASIC


@pytest.mark.parametrize(
    ("code", "place"), [(0, "variable"), (0, "file"), (400, "file"), (401, "variable"), (403, "file")]
)
def test_an_access_token_that_kaggle_does_not_know(code: int, place: str, kaggle: Kaggle) -> None:
    if code:
        kaggle.errors = {"IntrospectToken": [(code, "Unauthenticated")]}
    token = "KGAT_out_of_date"
    if place == "variable":
        message, name = kaggle.fetch(SOURCE, KAGGLE_API_TOKEN=token)["error"], "$KAGGLE_API_TOKEN"
    else:
        name = str(put(kaggle.home / ".kaggle" / "access_token", token))
        message = kaggle.fetch(SOURCE)["error"]
    assert name in message
    assert f"make a new API token at {SETTINGS}" in message
    assert token not in message
    assert not kaggle.store.exists()


def test_an_empty_file_of_a_token_is_named(kaggle: Kaggle) -> None:
    file = put(kaggle.home / "token", "\n")
    message = kaggle.fetch(SOURCE, KAGGLE_API_TOKEN=str(file))["error"]
    assert f"$KAGGLE_API_TOKEN names the file {file}, which is empty" in message


@pytest.mark.parametrize("code", [400, 401, 403])
def test_a_log_in_that_has_run_out_says_how_to_log_in_again(code: int, kaggle: Kaggle) -> None:
    file = log_in(kaggle.home, minutes=-60)
    kaggle.errors = {"GenerateAccessToken": [(code, "The refresh token has expired")]}
    message = kaggle.fetch(SOURCE)["error"]
    assert "kaggle auth login" in message
    assert str(file) in message


def test_a_log_in_that_runs_out_before_the_client_notices(kaggle: Kaggle) -> None:
    file = log_in(kaggle.home, minutes=-10)  # the client refreshes after half an hour
    kaggle.errors = {"ListDataFiles": [(401, "Unauthenticated")]}
    message = kaggle.fetch(SOURCE)["error"]
    assert (
        f"refused the credentials in {file} (Unauthenticated): log in again with: kaggle auth login"
        in message
    )


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"refresh_token": "r", "access_token_expiration": "x"}']
)
def test_a_damaged_log_in_is_named(content: str, kaggle: Kaggle) -> None:
    file = put(kaggle.home / ".kaggle" / "credentials.json", content)
    message = kaggle.fetch(SOURCE)["error"]
    assert str(file) in message and "kaggle auth login" in message


def test_a_key_that_kaggle_does_not_know(kaggle: Kaggle) -> None:
    file = put(kaggle.home / ".kaggle" / "kaggle.json", PAIR)
    kaggle.errors = {"ListDataFiles": [(401, "Unauthenticated")]}
    message = kaggle.fetch(SOURCE)["error"]
    assert f"refused the credentials in {file} (Unauthenticated)" in message and SETTINGS in message


def test_a_log_in_while_kaggle_is_busy_says_later(kaggle: Kaggle) -> None:
    kaggle.errors = {"IntrospectToken": [(503, "Unavailable")]}
    message = kaggle.fetch(SOURCE, **token_variable(kaggle.home))["error"]
    assert "log-in failed" in message and "later" in message


@pytest.mark.parametrize("environment", [KEY, {"KAGGLE_API_TOKEN": "KGAT_0123"}], ids=["key", "token"])
def test_no_connection(environment: dict[str, str], kaggle: Kaggle) -> None:
    kaggle.url = "http://127.0.0.1:1"
    said = kaggle.fetch(SOURCE, **environment)
    assert said["error"].startswith("Kaggle cannot be reached (")
    assert "Connection refused" in said["error"] and "0x" not in said["error"]
    assert sum(note.startswith("waiting    Kaggle:") for note in said["notes"]) == 3
