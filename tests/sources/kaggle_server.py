"""A server that plays Kaggle's, and a process of its own for each fetch through Kaggle's real client."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import py7zr

from visionkit.sources.base import Source

SLUG = "planet-understanding-the-amazon-from-space"
TABLE = b"image_name,tags\ntrain_0,haze primary\n"
KEY = {"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": "0123456789abcdef"}

DRIVER = """
import base64, json, pickle, sys, time
from contextlib import contextmanager
from pathlib import Path
import kagglesdk.kaggle_env as kaggle_env
endpoint, store, source, timeout = json.loads(sys.argv[1])
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = endpoint  # before the client is imported
import visionkit.sources.kaggle.patience as wire
from visionkit.errors import VisionkitError
from visionkit.sources.base import Store
wire.TIMEOUT = (timeout, timeout)
slept = []
time.sleep = slept.append  # nobody has to wait for the back-off

class Heard:
    def __init__(self): self.notes, self.bars = [], []
    def note(self, text): self.notes.append(text)
    @contextmanager
    def track(self, label, total, unit):
        bar = {"label": label, "total": total, "unit": unit, "done": 0}
        self.bars.append(bar)
        def advance(count): bar["done"] += count
        yield advance

import requests
send, heard = requests.Session.send, Heard()
try:
    found = pickle.loads(base64.b64decode(source)).fetch(Store(Path(store), heard))
    answer = {"folder": str(found)}
except VisionkitError as error:
    answer = {"error": str(error), "kind": type(error).__name__}
assert requests.Session.send is send
heard = {"notes": heard.notes, "bars": heard.bars} | ({"slept": slept} if slept else {})
print(json.dumps(answer | heard), file=sys.stderr)
"""
"""The client reads endpoint and credentials when it is imported: hence a process for each case."""

HAND_IN = """
import json, sys, time
from pathlib import Path
import kagglesdk.kaggle_env as kaggle_env
endpoint, slug, file, message, timeout = sys.argv[1:]
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = endpoint
time.sleep = lambda seconds: None
import visionkit.sources.kaggle.patience as wire
from visionkit.errors import VisionkitError
from visionkit.progress import PlainProgress
from visionkit.sources.kaggle.client import connect
from visionkit.sources.kaggle.submitting import competition_page, submit_file
wire.TIMEOUT = (float(timeout), float(timeout))
try:
    page = competition_page(slug, "submissions")
    client = connect(page, PlainProgress(sys.stderr), instead="Or do it there.")
    answer = {"answer": submit_file(client, slug, Path(file), message)}
except VisionkitError as error:
    answer = {"error": str(error)}
print(json.dumps(answer))
"""
"""Hands in a file: without the rest of visionkit, whose imports take long."""

COMMAND = """
import sys, time
import kagglesdk.kaggle_env as kaggle_env
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = sys.argv.pop(1)
time.sleep = lambda seconds: None
from visionkit.cli import main
main()
"""
"""visionkit's command line, with this server for Kaggle's."""


@dataclass
class Kaggle:
    """Stands in for Kaggle. What it has is in `files`, `datasets` and `bundle`; how it fails, below them."""

    url: str
    home: Path
    store: Path
    files: dict[str, bytes] = field(default_factory=dict)
    datasets: dict[str, bytes] = field(default_factory=dict)
    bundle: bytes = b""
    unlisted: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    lands_as: dict[str, str] = field(default_factory=dict)
    page_size: int = 2
    errors: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Answers to a question instead of the right one, in turn; the last is kept."""
    answers: dict[str, Any] = field(default_factory=dict)
    """Answers of another shape."""
    transfers: list[tuple[str, int]] = field(default_factory=list)
    """What happens to each download in turn: ("cut", bytes), ("stall", bytes), ("status", 503)."""
    hangs: list[str] = field(default_factory=list)
    """Questions that get no answer, once each."""
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"1"', "Accept-Ranges": "bytes"})
    asked: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    puts: list[int] = field(default_factory=list)
    """How uploads are answered in turn; 0 cuts the connection half-way."""
    uploaded: dict[str, bytes] = field(default_factory=dict)
    entered: list[dict[str, Any]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().startswith(("kaggle", "xdg")) and not name.lower().endswith("_proxy")
        }
        return clean | {"HOME": str(self.home), "NO_PROXY": "127.0.0.1"} | more

    def command(self, source: Source, timeout: float = 20.0) -> list[str]:
        packed = base64.b64encode(pickle.dumps(source)).decode()
        return [
            sys.executable,
            "-c",
            DRIVER,
            json.dumps([self.url, str(self.store), packed, timeout]),
        ]

    def fetch(self, source: Source, timeout: float = 20.0, **environment: str) -> dict[str, Any]:
        """What the source says: {"folder": …} or {"error": …}, with its notes and bars."""
        result = subprocess.run(
            self.command(source, timeout),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout == ""
        return json.loads(result.stderr.splitlines()[-1])

    def visionkit(
        self, work: Path, *arguments: object, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The command line, called in the folder `work`."""
        return self._python(COMMAND, work, *arguments, **environment)

    def hand_in(
        self, file: Path, message: str, timeout: float = 20.0, **environment: str
    ) -> tuple[dict[str, str], str]:
        """What submitting a file comes to, {"answer": …} or {"error": …}, and the notes."""
        result = self._python(HAND_IN, file.parent, SLUG, file, message, timeout, **environment)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout), result.stderr

    def _python(
        self, code: str, work: Path, *arguments: object, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, self.url, *map(str, arguments)],
            env=self.environment(OMP_NUM_THREADS="1", **environment),
            cwd=work,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def folder(self) -> Path:
        return self.store / "kaggle" / SLUG

    def contents(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def downloads(self) -> list[str]:
        return [question for question in self.asked if question.startswith("Download")]


@contextmanager
def kaggle_server(folder: Path) -> Iterator[Kaggle]:
    """A server on this machine, with a home and a store in `folder`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            call = self.path.rsplit("/", 1)[-1]
            what = question.get("fileName") or question.get("datasetSlug") or ""
            kaggle.asked.append(f"{call} {what}".strip())
            kaggle.accounts.append(self.headers.get("Authorization", ""))
            if call in kaggle.hangs:
                kaggle.hangs.remove(call)
                kaggle.released.wait(60)
                return
            if errors := kaggle.errors.get(call):
                code, message = errors.pop(0) if len(errors) > 1 else errors[0]
                if code:
                    self.answer(code, {"code": code, "message": message})
                    return
            if call in kaggle.answers:
                self.answer(200, kaggle.answers[call])
                return
            getattr(self, f"on_{call}")(question)

        def on_IntrospectToken(self, question: dict[str, Any]) -> None:
            self.answer(200, {"active": question["token"] == "KGAT_0123", "username": "somebody"})

        def on_GenerateAccessToken(self, question: dict[str, Any]) -> None:
            self.answer(200, {"token": "KGAT_fresh", "expiresIn": 3600, "userName": "somebody"})

        def on_ListDataFiles(self, question: dict[str, Any]) -> None:
            names = [name for name in kaggle.files if name not in kaggle.unlisted]
            start = int(question.get("pageToken") or 0)
            end = start + kaggle.page_size
            answer: dict[str, Any] = {"files": [{"name": name} for name in names[start:end]]}
            self.answer(200, answer | ({"nextPageToken": str(end)} if end < len(names) else {}))

        def on_DownloadDataFile(self, question: dict[str, Any]) -> None:
            name = question["fileName"]
            if name in kaggle.gone or name not in kaggle.files:
                self.answer(404, {"code": 404, "message": "Not found"})
            else:
                self.redirect(f"file/{name}/{kaggle.lands_as.get(name, name.rsplit('/', 1)[-1])}")

        def on_DownloadDataFiles(self, question: dict[str, Any]) -> None:
            self.redirect("bundle/archive.zip")

        def on_DownloadDataset(self, question: dict[str, Any]) -> None:
            slug = f"{question['ownerSlug']}/{question['datasetSlug']}"
            if slug not in kaggle.datasets:
                self.answer(404, {"code": 404, "message": "Dataset not found"})
            else:
                self.redirect(f"dataset/{slug}/archive.zip")

        def on_GetDataset(self, question: dict[str, Any]) -> None:
            self.answer(200, {"licenseName": "CC0: Public Domain"})

        def on_StartSubmissionUpload(self, question: dict[str, Any]) -> None:
            token = f"{question['fileName']}-{question['contentLength']}"
            self.answer(200, {"token": token, "createUrl": f"{kaggle.url}/upload/{token}?signature=secret"})

        def do_PUT(self) -> None:
            length = int(self.headers["Content-Length"])
            status = kaggle.puts.pop(0) if kaggle.puts else 200
            content = self.rfile.read(length if status else length // 2)
            kaggle.asked.append(f"PUT {len(content)}")
            if status == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if status == 200:
                kaggle.uploaded[self.path.removeprefix("/upload/").split("?")[0]] = content
            self.answer(status, {})

        def on_CreateSubmission(self, question: dict[str, Any]) -> None:
            kaggle.entered.append(question)
            self.answer(200, {"message": "Successfully submitted to the competition", "ref": 17})

        def redirect(self, place: str) -> None:
            self.send_response(302)
            self.send_header("Location", f"{kaggle.url}/signed/{place}?signature=secret")
            self.end_headers()

        def do_GET(self) -> None:
            place = self.path.removeprefix("/signed/").split("?")[0]
            kind, name = place.split("/", 1)
            name = name.rsplit("/", 1)[0]
            content = kaggle.bundle if kind == "bundle" else (kaggle.files | kaggle.datasets)[name]
            part = self.headers.get("Range")
            kaggle.ranges.append(part)
            event, amount = kaggle.transfers.pop(0) if kaggle.transfers else ("", 0)
            if event == "status":
                self.answer(amount, {"error": "the storage has a bad day"})
                return
            start = 0
            if part and "Accept-Ranges" in kaggle.headers:
                start = int(re.fullmatch(r"bytes=(\d+)-", part)[1])  # type: ignore[index]
                if self.headers.get("If-Range") not in (None, kaggle.headers.get("ETag")):
                    start = 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Last-Modified", "Thu, 01 Jun 2017 00:00:00 GMT")
            for header in kaggle.headers.items():
                self.send_header(*header)
            self.end_headers()
            end = start + amount if event else len(content)
            with suppress(OSError):  # the other side may be killed
                self.wfile.write(content[start:end])
            if event == "stall":
                kaggle.released.wait(60)

        def answer(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            if code == 429:
                self.send_header("Retry-After", "17")
            self.send_header("X-Kaggle-APIVersion", "99.0.0")  # the client prints that it is outdated
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (folder / "home").mkdir()
    kaggle = Kaggle(f"http://127.0.0.1:{server.server_port}", folder / "home", folder / "store")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield kaggle
    finally:
        kaggle.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tarred(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def tar_7z(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        archive.writestr(tarred(files), "inner.tar")
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def photos(folder: str, *names: str) -> dict[str, bytes]:
    """Files of one folder whose contents are their names."""
    return {f"{folder}/{name}": name.encode() for name in names}
