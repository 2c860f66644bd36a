"""A competition's files, through Kaggle's own client and from a server that plays Kaggle's."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import py7zr
import pytest

from visionkit.errors import VisionkitError
from visionkit.sources import KaggleCompetition

SLUG = "planet-understanding-the-amazon-from-space"
FILES = (("train-jpg.tar.7z", "train-jpg"), ("train_v2.csv.zip", "train_v2.csv"))
TABLE = b"image_name,tags\ntrain_0,haze primary\n"
DOWNLOAD = "/v1/competitions.CompetitionApiService/DownloadDataFile"
DRIVER = """
import json, sys
from pathlib import Path
import kagglesdk.kaggle_env as kaggle_env
endpoint, store, slug, files = json.loads(sys.argv[1])
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = endpoint  # before the client is imported
from visionkit.errors import VisionkitError
from visionkit.sources import KaggleCompetition
notes = []
try:
    source = KaggleCompetition(slug, tuple(map(tuple, files)))
    answer = {"folder": str(source.fetch(Path(store), notes.append))}
except VisionkitError as error:
    answer = {"error": str(error)}
print(json.dumps({**answer, "notes": notes}), file=sys.stderr)
"""
"""A process of its own for each case: the client reads endpoint and credentials when it is imported."""


@dataclass
class Kaggle:
    """Stands in for Kaggle: `files` are handed out, or every download is answered by `error`."""

    url: str
    home: Path
    store: Path
    files: dict[str, bytes] = field(default_factory=dict)
    error: tuple[int, str] | None = None
    token_error: int | None = None
    asked: list[str] = field(default_factory=list)

    def fetch(
        self, files: tuple[tuple[str, str], ...] = FILES, **environment: str
    ) -> dict[str, str | list[str]]:
        """What the source says: {"folder": …} or {"error": …}, and its notes."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().startswith("kaggle") and not name.lower().endswith("_proxy")
        }
        places = {"HOME": str(self.home), "KAGGLE_CONFIG_DIR": str(self.home), "NO_PROXY": "127.0.0.1"}
        call = json.dumps([self.url, str(self.store), SLUG, files])
        result = subprocess.run(
            [sys.executable, "-c", DRIVER, call],
            env=clean | places | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stderr.splitlines()[-1])

    @property
    def folder(self) -> Path:
        return self.store / "kaggle" / SLUG

    def contents(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


KEY = {"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": "0123456789abcdef"}


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != DOWNLOAD:
                kaggle.asked.append(self.path.rsplit("/", 1)[-1])
                if kaggle.token_error:
                    self.answer(
                        kaggle.token_error, {"code": kaggle.token_error, "message": "Unauthenticated"}
                    )
                else:
                    self.answer(200, {"active": True, "username": "somebody"})
                return
            name = question["fileName"]
            kaggle.asked.append(f"{question['competitionName']}: {name}")
            if kaggle.error:
                code, message = kaggle.error
                self.answer(code, {"code": code, "message": message})
            elif name not in kaggle.files:
                self.answer(404, {"code": 404, "message": "Not found"})
            else:
                self.send_response(302)
                self.send_header("Location", f"{kaggle.url}/signed/{name}?signature=1")
                self.end_headers()

        def do_GET(self) -> None:
            content = kaggle.files[self.path.removeprefix("/signed/").split("?")[0]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Thu, 01 Jun 2017 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(content)

        def answer(self, code: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (tmp_path / "home").mkdir()
    kaggle = Kaggle(f"http://127.0.0.1:{server.server_port}", tmp_path / "home", tmp_path / "store")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield kaggle
    server.shutdown()
    server.server_close()
    thread.join()


def tar_7z(names: list[str]) -> bytes:
    tar, file = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    with py7zr.SevenZipFile(file, "w") as archive:
        archive.writestr(tar.getvalue(), "train-jpg.tar")
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
        archive.writestr(f"__MACOSX/._{name}", b"x")
    return file.getvalue()


def test_archives_are_fetched_once_and_unpacked_to_their_names(kaggle: Kaggle) -> None:
    kaggle.files = {
        "train-jpg.tar.7z": tar_7z(["train-jpg/train_0.jpg", "train-jpg/train_1.jpg"]),
        "train_v2.csv.zip": zipped("train_v2.csv", TABLE),
    }
    said = kaggle.fetch(**KEY)
    assert said["folder"] == str(kaggle.folder)
    assert [note.split()[:2] for note in said["notes"]] == [["fetching", remote] for remote, _ in FILES]
    expected = {
        f"train-jpg/train_{number}.jpg": f"train-jpg/train_{number}.jpg".encode() for number in (0, 1)
    }
    expected["train_v2.csv"] = TABLE
    assert kaggle.contents() == expected
    assert sorted(path.name for path in kaggle.folder.iterdir()) == ["train-jpg", "train_v2.csv"]
    assert kaggle.asked == [f"{SLUG}: {remote}" for remote, _ in FILES]

    # What is there is not fetched again: neither Kaggle nor credentials are needed.
    kaggle.asked.clear()
    assert kaggle.fetch() == {"folder": str(kaggle.folder), "notes": []}
    (kaggle.folder / "train_v2.csv").unlink()
    assert "folder" in kaggle.fetch(**KEY)
    assert kaggle.asked == [f"{SLUG}: train_v2.csv.zip"]
    assert kaggle.contents() == expected


def test_plain_files_keep_or_change_their_names(kaggle: Kaggle) -> None:
    kaggle.files = {"train_v2.csv": TABLE, "labels.csv": b"labels"}
    files = (("train_v2.csv", "train_v2.csv"), ("labels.csv", "renamed.csv"))
    assert "folder" in kaggle.fetch(files, **KEY)
    assert kaggle.contents() == {"train_v2.csv": TABLE, "renamed.csv": b"labels"}


def test_without_credentials_the_message_says_where_to_get_them(kaggle: Kaggle) -> None:
    message = kaggle.fetch()["error"]
    assert "no Kaggle credentials" in message
    for part in (
        "https://www.kaggle.com/settings",
        "KAGGLE_API_TOKEN",
        "kaggle.json",
        SLUG,
        "--data",
        "--sample",
    ):
        assert part in message
    assert kaggle.asked == []
    assert not kaggle.store.exists()


def test_a_key_in_the_clients_own_file_is_used(kaggle: Kaggle) -> None:
    (kaggle.home / "kaggle.json").write_text(json.dumps({"username": "somebody", "key": "0123"}))
    (kaggle.home / "kaggle.json").chmod(0o600)
    kaggle.files = {"train_v2.csv": TABLE}
    assert "folder" in kaggle.fetch((("train_v2.csv", "train_v2.csv"),))


def test_an_access_token_is_used(kaggle: Kaggle) -> None:
    kaggle.files = {"train_v2.csv": TABLE}
    assert "folder" in kaggle.fetch((("train_v2.csv", "train_v2.csv"),), KAGGLE_API_TOKEN="KGAT_0123")
    assert "IntrospectToken" in kaggle.asked


@pytest.mark.parametrize("code", [401, 403])
def test_an_access_token_that_kaggle_does_not_know(code: int, kaggle: Kaggle) -> None:
    kaggle.token_error = code
    message = kaggle.fetch(KAGGLE_API_TOKEN="KGAT_0123")["error"]
    assert "credentials" in message
    assert "https://www.kaggle.com/settings" in message
    assert not kaggle.store.exists()


ERRORS = {
    "unknown key": (
        (401, "Unauthenticated"),
        ["refused the credentials", "Unauthenticated", "https://www.kaggle.com/settings"],
    ),
    "rules not accepted": (
        (403, "You must accept this competition's rules before you'll be able to download files."),
        ["accept this competition's rules", f"https://www.kaggle.com/competitions/{SLUG}/rules"],
    ),
    "no such file": (
        (404, "Not found"),
        ["no file train-jpg.tar.7z", f"https://www.kaggle.com/competitions/{SLUG}/data", "--data"],
    ),
    "overloaded": ((500, "Internal error"), ["500", "Internal error", "later"]),
}


@pytest.mark.parametrize(("error", "named"), ERRORS.values(), ids=ERRORS)
def test_each_refusal_says_what_to_do(error: tuple[int, str], named: list[str], kaggle: Kaggle) -> None:
    kaggle.error = error
    message = kaggle.fetch(**KEY)["error"]
    assert all(part in message for part in named), message
    assert "\n" not in message
    assert kaggle.contents() == {}


def test_a_damaged_archive_leaves_no_folder(kaggle: Kaggle) -> None:
    whole = tar_7z(["train-jpg/train_0.jpg"])
    kaggle.files = {"train-jpg.tar.7z": whole[: len(whole) // 2]}
    message = kaggle.fetch(**KEY)["error"]
    assert "train-jpg.tar.7z: cannot be unpacked" in message
    assert set(kaggle.contents()) == {".downloads/train-jpg.tar.7z"}

    # The message says to delete the file: after that it is fetched again.
    (kaggle.folder / ".downloads" / "train-jpg.tar.7z").unlink()
    kaggle.files = {"train-jpg.tar.7z": whole, "train_v2.csv.zip": zipped("train_v2.csv", TABLE)}
    assert "folder" in kaggle.fetch(**KEY)
    assert set(kaggle.contents()) == {"train-jpg/train_0.jpg", "train_v2.csv"}


def test_no_connection(kaggle: Kaggle) -> None:
    kaggle.url = "http://127.0.0.1:1"
    message = kaggle.fetch(**KEY)["error"]
    assert "Kaggle cannot be reached" in message
    message = kaggle.fetch(KAGGLE_API_TOKEN="KGAT_0123")["error"]
    assert "Kaggle cannot be reached" in message


class Client:
    """Kaggle's client after its retries: raises, or leaves the files it was told to."""

    def __init__(self, error: Exception | None, leaves: list[str]) -> None:
        self.error, self.leaves = error, leaves

    def competition_download_file(self, slug: str, remote: str, path: str) -> None:
        for name in self.leaves:
            (Path(path) / name).write_bytes(b"half")
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("error", "leaves"),
    [
        (None, []),
        (None, ["train_v2.csv", "train_v2.csv.kaggle-partial"]),
        (ValueError("Downloaded file size (4) does not match expected size (9)"), ["train_v2.csv"]),
        (OSError("No space left on device"), ["train_v2.csv"]),
    ],
    ids=["nothing", "marked as partial", "of another size", "disk full"],
)
def test_a_download_that_breaks_off_is_no_data(
    error: Exception | None, leaves: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visionkit.sources.kaggle.authenticated_client", lambda _: Client(error, leaves))
    source = KaggleCompetition(SLUG, (("train_v2.csv", "train_v2.csv"),))
    for _ in range(2):  # the half file is not taken for the data by the second call
        with pytest.raises(VisionkitError, match=rf"train_v2\.csv of {SLUG}: the download broke off"):
            source.fetch(tmp_path, lambda _: None)
    assert not (tmp_path / "kaggle" / SLUG / "train_v2.csv").exists()
