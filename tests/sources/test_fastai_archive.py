"""fast.ai's archives are fetched once into fastai's cache; what goes wrong is one message."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastai.data.external import URLs, fastai_cfg

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.sources import FastaiArchive


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return file.getvalue()


@dataclass
class Host:
    """Stands in for fast.ai's server."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut: bool = False


@pytest.fixture
def host() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            content = host.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if host.cut else content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = Host(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host) -> Iterator[Path]:
    """fastai's cache in a fresh folder, and an archive SHAPES on our host."""
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "fastai"))
    monkeypatch.setattr(URLs, "SHAPES", f"{host.url}/data/shapes.tgz", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fastai_cfg.cache_clear()
    yield tmp_path / "fastai"
    fastai_cfg.cache_clear()


def fetch(tmp_path: Path, notes: list[str] | None = None) -> Path:
    return FastaiArchive("SHAPES").fetch(tmp_path / "store", (notes if notes is not None else []).append)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_an_archive_is_fetched_once_and_its_only_folder_lifted(
    home: Path, host: Host, tmp_path: Path
) -> None:
    host.files["/data/shapes.tgz"] = archive("shapes/images/a.jpg", "shapes/codes.txt")
    notes: list[str] = []
    folder = fetch(tmp_path, notes)
    assert folder == home / "data" / "shapes"
    assert contents(folder) == {"images/a.jpg": "shapes/images/a.jpg", "codes.txt": "shapes/codes.txt"}
    assert [path.name for path in (home / "data").iterdir()] == ["shapes"]
    assert len(notes) == 2
    assert f"{host.url}/data/shapes.tgz" in notes[0]
    assert "shapes.tgz" in notes[1]
    assert not (tmp_path / "store").exists()

    assert fetch(tmp_path, notes) == folder
    assert len(notes) == 2
    assert host.asked == ["/data/shapes.tgz"]


def test_what_untar_data_unpacked_is_used(home: Path, host: Host, tmp_path: Path) -> None:
    (home / "data" / "shapes").mkdir(parents=True)
    assert fetch(tmp_path) == home / "data" / "shapes"
    assert host.asked == []


def test_an_archive_that_is_there_is_unpacked_without_the_network(
    home: Path, host: Host, tmp_path: Path
) -> None:
    (home / "archive").mkdir(parents=True)
    (home / "archive" / "shapes.tgz").write_bytes(archive("a.jpg", "b.jpg"))
    assert set(contents(fetch(tmp_path))) == {"a.jpg", "b.jpg"}
    assert host.asked == []


def test_a_process_killed_while_unpacking_does_no_harm(home: Path, host: Host, tmp_path: Path) -> None:
    host.files["/data/shapes.tgz"] = archive("shapes/a.jpg")
    (home / "data" / ".shapes-unpacked" / "shapes").mkdir(parents=True)
    assert set(contents(fetch(tmp_path))) == {"a.jpg"}


@pytest.mark.filterwarnings("ignore:Your generator is empty")
@pytest.mark.parametrize(
    "content",
    [b"<html>Service unavailable</html>", b"", archive("shapes/a.jpg")[:60], archive("../../escaped")],
    ids=["a web page", "empty", "cut off", "hostile"],
)
def test_a_damaged_archive_leaves_no_folder(content: bytes, home: Path, host: Host, tmp_path: Path) -> None:
    host.files["/data/shapes.tgz"] = content
    with pytest.raises(DataError, match=r"archive/shapes\.tgz: cannot be unpacked .*Delete the file"):
        fetch(tmp_path)
    assert not list((home / "data").iterdir())
    assert not list(tmp_path.rglob("escaped"))

    (home / "archive" / "shapes.tgz").unlink()
    host.files["/data/shapes.tgz"] = archive("shapes/a.jpg")
    assert set(contents(fetch(tmp_path))) == {"a.jpg"}


def assert_not_fetched(home: Path, tmp_path: Path, reason: str) -> None:
    with pytest.raises(
        VisionkitError, match=rf"shapes\.tgz: cannot be fetched \(.*{reason}.*--data"
    ) as caught:
        fetch(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(home.glob("data/*"))
    assert not (home / "archive" / "shapes.tgz").exists()


def test_an_archive_that_the_host_lacks(home: Path, host: Host, tmp_path: Path) -> None:
    assert_not_fetched(home, tmp_path, "404")


def test_a_connection_that_breaks_off(home: Path, host: Host, tmp_path: Path) -> None:
    host.files["/data/shapes.tgz"] = archive("shapes/a.jpg")
    host.cut = True
    assert_not_fetched(home, tmp_path, "")


def test_no_connection(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(URLs, "SHAPES", "http://127.0.0.1:1/shapes.tgz")
    assert_not_fetched(home, tmp_path, "refused")


def test_the_names_are_fastais() -> None:
    assert FastaiArchive("PETS").url == URLs.PETS


@pytest.mark.parametrize(
    ("name", "near"), [("PET", "'PETS'"), ("CAMVIDS", "'CAMVID'"), ("S3_IMAGE", ""), ("path", ""), ("Q", "")]
)
def test_an_unknown_name_gives_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"no data set '{name}'") as caught:
        _ = FastaiArchive(name).url
    assert near in str(caught.value)
    assert "'S3_IMAGELOC'" not in str(caught.value)
