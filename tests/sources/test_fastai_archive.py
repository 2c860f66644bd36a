"""fast.ai's archives are fetched once into fastai's cache; what goes wrong is one message."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import fastai.data
import pytest
from fastai.data.external import URLs, fastai_cfg, untar_data
from http_host import Host, dead_port, http_host

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.sources import FastaiArchive
from visionkit.sources.base import Source, Store
from visionkit.sources.catalogue import fetched
from visionkit.sources.downloads import attempts
from visionkit.sources.names import named_source


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return file.getvalue()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Stands in for fast.ai's server."""
    monkeypatch.setattr(attempts, "SLEEP", lambda seconds: None)
    with http_host() as host:
        yield host


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host) -> Iterator[Path]:
    """fastai's cache in a fresh folder, and an archive SHAPES on our host."""
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "fastai"))
    monkeypatch.setattr(URLs, "SHAPES", f"{host.url}/data/shapes.tgz", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fastai_cfg.cache_clear()
    yield tmp_path / "fastai"
    fastai_cfg.cache_clear()


class Notes(Silence):
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def note(self, text: str) -> None:
        self.notes.append(text)


def fetch(tmp_path: Path, notes: list[str] | None = None) -> Path:
    progress = Notes(notes if notes is not None else [])
    return FastaiArchive("SHAPES").fetch(Store(tmp_path / "store", progress))


def know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: Host, size: int, digest: str) -> None:
    """Let fastai's list of checksums have one for our archive."""
    (tmp_path / "list").mkdir()
    monkeypatch.setattr(fastai.data, "__file__", str(tmp_path / "list" / "__init__.py"))
    checks = {f"{host.url}/data/shapes.tgz": (size, digest)}
    (tmp_path / "list" / "download_checks.py").write_text(repr(checks))


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_an_archive_is_fetched_once_and_its_only_folder_lifted(
    home: Path, host: Host, tmp_path: Path
) -> None:
    host.serve("/data/shapes.tgz", archive("shapes/images/a.jpg", "shapes/codes.txt"))
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
    assert host.paths == ["/data/shapes.tgz"]
    assert [path.name for path in (home / "archive").iterdir()] == ["shapes.tgz"], "as untar_data keeps it"


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
    host.serve("/data/shapes.tgz", archive("shapes/a.jpg"))
    (home / "data" / ".shapes-unpacked" / "shapes").mkdir(parents=True)
    assert set(contents(fetch(tmp_path))) == {"a.jpg"}


@pytest.mark.filterwarnings("ignore:Your generator is empty")
@pytest.mark.parametrize(
    "content",
    [b"<html>Service unavailable</html>", b"", archive("shapes/a.jpg")[:60], archive("../../escaped")],
    ids=["a web page", "empty", "cut off", "hostile"],
)
def test_a_damaged_archive_leaves_no_folder(content: bytes, home: Path, host: Host, tmp_path: Path) -> None:
    host.serve("/data/shapes.tgz", content)
    with pytest.raises(DataError, match=r"archive/shapes\.tgz: cannot be unpacked .*(Delete|unpack it)"):
        fetch(tmp_path)
    assert not list((home / "data").iterdir())
    assert not list(tmp_path.rglob("escaped"))

    (home / "archive" / "shapes.tgz").unlink()
    host.serve("/data/shapes.tgz", archive("shapes/a.jpg"))
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


def test_a_web_page_in_place_of_the_archive(home: Path, host: Host, tmp_path: Path) -> None:
    host.serve("/data/shapes.tgz", b"<html>", kind="text/html")
    assert_not_fetched(home, tmp_path, "a web page")


def test_a_connection_that_breaks_off_goes_on_in_the_next_call(
    home: Path, host: Host, tmp_path: Path
) -> None:
    content = archive("shapes/a.jpg")
    host.serve("/data/shapes.tgz", content, cuts=[60] + [0] * attempts.ATTEMPTS)
    assert_not_fetched(home, tmp_path, "broke off")
    assert set(contents(fetch(tmp_path))) == {"a.jpg"}
    assert host.ranges[-1] == "bytes=60-"
    assert [path.name for path in (home / "archive").iterdir()] == ["shapes.tgz"]


def test_no_connection(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(URLs, "SHAPES", f"http://127.0.0.1:{dead_port()}/shapes.tgz")
    assert_not_fetched(home, tmp_path, "refused")


def test_an_archive_of_another_size_than_fastai_knows(
    home: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive("shapes/a.jpg")
    know(monkeypatch, tmp_path, host, len(content) + 1, md5(content).hexdigest())
    host.serve("/data/shapes.tgz", content)
    with pytest.raises(
        VisionkitError, match=rf"found {len(content)} bytes, expected {len(content) + 1} bytes"
    ):
        fetch(tmp_path)
    assert list((home / "archive").glob("*")) == []


def test_an_archive_of_another_checksum_than_fastai_knows(
    home: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive("shapes/a.jpg")
    know(monkeypatch, tmp_path, host, len(content), "0" * 32)
    host.serve("/data/shapes.tgz", content)
    with pytest.raises(VisionkitError, match=rf"MD5 .* {md5(content).hexdigest()}, expected {'0' * 32}"):
        fetch(tmp_path)
    assert list((home / "archive").glob("*")) == []
    assert not list(home.glob("data/*"))


def test_an_archive_there_that_fastai_does_not_know_is_fetched_anew(
    home: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive("shapes/a.jpg")
    know(monkeypatch, tmp_path, host, len(content), md5(content).hexdigest())
    (home / "archive").mkdir(parents=True)
    (home / "archive" / "shapes.tgz").write_bytes(archive("older.jpg", "old.jpg"))
    host.serve("/data/shapes.tgz", content)
    assert set(contents(fetch(tmp_path))) == {"a.jpg"}


def test_untar_data_finds_what_was_fetched(home: Path, host: Host, tmp_path: Path) -> None:
    host.serve("/data/shapes.tgz", archive("shapes/a.jpg"))
    folder = fetch(tmp_path)
    host.files.clear()
    assert Path(untar_data(URLs.SHAPES)) == folder
    assert host.paths == ["/data/shapes.tgz"]


def test_it_is_a_source(home: Path, host: Host, tmp_path: Path) -> None:
    host.serve("/data/shapes.tgz", archive("shapes/a.jpg"))
    source: Source = named_source("fastai:SHAPES")
    assert source == FastaiArchive("SHAPES")
    assert (source.name, source.licence) == ("fastai:SHAPES", "")
    assert FastaiArchive("SHAPES", licence="CC BY 4.0").licence == "CC BY 4.0"
    assert source.folder(tmp_path) == source.folder(tmp_path / "other") == home / "data" / "shapes"
    assert not source.is_there(tmp_path)
    assert not (home / "data").exists()
    assert fetched(source, Store(tmp_path / "store", Silence())) == home / "data" / "shapes"
    assert source.is_there(tmp_path)


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "file" / "fastai"))
    fastai_cfg.cache_clear()
    try:
        with pytest.raises(VisionkitError, match=r"FASTAI_HOME"):
            FastaiArchive("PETS").folder(tmp_path)
    finally:
        fastai_cfg.cache_clear()


def test_the_names_are_fastais() -> None:
    assert FastaiArchive("PETS").url == URLs.PETS


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("PET", "'PETS'"),
        ("pets", "'PETS'"),
        ("CAMVIDS", "'CAMVID'"),
        ("S3_IMAGE", ""),
        ("path", ""),
        ("Q", ""),
    ],
)
def test_an_unknown_name_gives_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"no data set '{name}'") as caught:
        _ = FastaiArchive(name).url
    assert near in str(caught.value)
    assert "'S3_IMAGELOC'" not in str(caught.value)
