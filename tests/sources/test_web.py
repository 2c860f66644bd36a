"""An archive at any address becomes a folder, once, and tells no password."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import Path

import py7zr
import pytest
from http_host import Host, http_host

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.progress import Silence
from visionkit.sources.base import Limits, Store
from visionkit.sources.catalogue import entries, fetched, find_entry, remove
from visionkit.sources.downloads import attempts
from visionkit.sources.names import named_source
from visionkit.sources.web import WebArchive

FILES = {"pets/a.txt": b"cat", "pets/more/b.txt": b"dog"}


def tar(mode: str = "w", files: dict[str, bytes] = FILES) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(files: dict[str, bytes] = FILES) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def seven(files: dict[str, bytes] = FILES) -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(content, name)
    return file.getvalue()


KINDS = {
    "zip": zipped(),
    "tar": tar(),
    "tgz": tar("w:gz"),
    "tar.gz": tar("w:gz"),
    "tar.bz2": tar("w:bz2"),
    "tar.xz": lzma.compress(tar()),
    "7z": seven(),
    "tar.7z": seven({"pets.tar": tar()}),
}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(attempts, "SLEEP", lambda seconds: None)
    with http_host() as host:
        yield host


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", Silence(), Limits())


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


LIFTED = {"a.txt": b"cat", "more/b.txt": b"dog"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_becomes_a_folder_once(kind: str, host: Host, store: Store) -> None:
    source = WebArchive(host.serve(f"/data/Pets.{kind.upper()}", KINDS[kind]))
    assert not source.is_there(store.root)
    folder = fetched(source, store)
    assert folder == source.folder(store.root)
    assert source.is_there(store.root)
    assert contents(folder) == LIFTED
    assert fetched(source, store) == folder
    assert host.paths == [f"/data/Pets.{kind.upper()}"]
    assert not list((store.root / "web" / ".downloads").iterdir()), "the archive is not kept"
    assert folder.name.startswith("127.0.0.1-Pets-")


@pytest.mark.parametrize("kind", KINDS)
def test_the_servers_name_tells_the_kind(kind: str, host: Host, store: Store) -> None:
    headers = {"Content-Disposition": f'attachment; filename="pets.{kind}"'}
    url = host.serve("/download", KINDS[kind], headers=headers)
    assert contents(fetched(WebArchive(f"{url}?id=7"), store)) == LIFTED


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tar.7z"])
@pytest.mark.parametrize("path", ["/download", "/pets.bin", "/"])
def test_the_content_tells_the_kind(path: str, kind: str, host: Host, store: Store) -> None:
    assert contents(fetched(WebArchive(host.serve(path, KINDS[kind])), store)) == LIFTED


def test_an_archive_of_several_members_is_not_lifted(host: Host, store: Store) -> None:
    url = host.serve("/a.zip", zipped({"a.txt": b"1", "b/c.txt": b"2"}))
    assert contents(fetched(WebArchive(url), store)) == {"a.txt": b"1", "b/c.txt": b"2"}


@pytest.mark.parametrize("content", [b"name,label\n", b"", b"\x1f\x8b not gzip", b"Rar!\x1a\x07\x00"])
def test_what_is_no_archive_is_refused(content: bytes, host: Host, store: Store) -> None:
    source = WebArchive(host.serve("/table.csv", content))
    with pytest.raises(UsageError, match=r"table\.csv: not an archive that can be unpacked\. .*\.zip"):
        fetched(source, store)
    assert not source.is_there(store.root)
    assert contents(store.root / "web" / ".downloads") == {}

    host.serve("/table.csv", KINDS["zip"])
    assert contents(fetched(source, store)) == LIFTED


def test_a_damaged_archive_leaves_no_folder(host: Host, store: Store) -> None:
    source = WebArchive(host.serve("/a.zip", KINDS["zip"][:50]))
    with pytest.raises(DataError, match=r"Delete the file"):
        fetched(source, store)
    assert not source.is_there(store.root)


def test_an_archive_of_a_killed_call_is_unpacked_without_the_network(host: Host, store: Store) -> None:
    source = WebArchive(host.serve("/a.zip", KINDS["zip"]))
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetched(source, Store(store.root, Silence(), Limits(size=1)))
    assert contents(fetched(source, store)) == LIFTED
    assert len(host.asked) == 1


def test_a_cut_download_goes_on_in_the_next_call(host: Host, store: Store) -> None:
    url = host.serve("/a.zip", KINDS["zip"], cuts=[100] + [0] * attempts.ATTEMPTS)
    with pytest.raises(VisionkitError, match="call again"):
        fetched(WebArchive(url), store)
    assert contents(fetched(WebArchive(url), store)) == LIFTED
    assert host.ranges[-1] == "bytes=100-"


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_checksum_in_the_address_is_verified(kind: str, host: Host, store: Store) -> None:
    digest = {"sha256": sha256, "md5": md5}[kind](KINDS["zip"]).hexdigest()
    url = host.serve("/a.zip", KINDS["zip"])
    source = WebArchive(f"{url}#{kind}={digest.upper()}")
    assert source.url == url
    assert contents(fetched(source, store)) == LIFTED
    assert host.paths == ["/a.zip"]

    wrong = WebArchive(f"{url}#{kind}={digest[::-1]}")
    with pytest.raises(VisionkitError, match=rf"found {kind} {digest}, expected {digest[::-1]}"):
        fetched(wrong, store)
    assert not wrong.is_there(store.root), "nor is what was fetched under another checksum taken for it"
    assert source.folder(store.root) != wrong.folder(store.root)


@pytest.mark.parametrize(
    "fragment",
    ["sha256=12", "sha256:" + "0" * 64, "md5=" + "0" * 64, "sha1=" + "0" * 40, "top", "egg=x&md5="],
)
def test_a_malformed_checksum_is_refused(fragment: str) -> None:
    with pytest.raises(UsageError, match="what stands behind #"):
        WebArchive(f"https://example.org/a.zip#{fragment}")


@pytest.mark.parametrize("address", ["http://", "https:///a.zip", "http://[a", "ftp://a/b.zip", "a.zip"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="http:// or https://"):
        WebArchive(address)


def test_a_password_is_used_and_kept_nowhere(host: Host, store: Store) -> None:
    url = host.serve("/a.zip", KINDS["zip"], cuts=[100] + [0] * attempts.ATTEMPTS)
    source = WebArchive(url.replace("http://", "http://me:secret@"))
    assert source.url == source.name == url
    progress = Notes()
    told = Store(store.root, progress, Limits())
    with pytest.raises(VisionkitError) as caught:
        fetched(source, told)
    kept = [path.read_text(errors="replace") for path in store.root.rglob("*") if path.is_file()]
    assert any(url in text for text in kept)
    assert not any("secret" in text for text in (str(caught.value), *kept, *progress.notes, repr(source)))

    fetched(source, told)
    assert all(request.headers["Authorization"] == "Basic bWU6c2VjcmV0" for request in host.asked)
    everything = [str(path) for path in store.root.rglob("*")]
    everything += [path.read_text(errors="replace") for path in store.root.rglob("*") if path.is_file()]
    assert not any("secret" in text for text in (*everything, *progress.notes))
    with pytest.raises(UsageError) as refused:
        WebArchive("https://me:secret@example.org/a.zip#x")
    assert "secret" not in str(refused.value)


def test_it_can_be_listed_and_removed_by_its_name(host: Host, store: Store) -> None:
    url = host.serve("/a.zip", KINDS["zip"])
    source = named_source(url)
    folder = fetched(source, store)
    assert [(record.name, record.url, record.files) for record in entries(store.root)] == [(url, url, 2)]
    remove(store.root, find_entry(store.root, url))
    assert not folder.exists()


def test_notes_say_what_is_fetched_and_that_http_is_open(host: Host, store: Store) -> None:
    url = host.serve("/a.zip", KINDS["zip"])
    progress = Notes()
    fetched(WebArchive(url), Store(store.root, progress, Limits()))
    assert url in progress.notes[0] and "not encrypted" in progress.notes[0]
    progress = Notes()
    fetched(WebArchive(f"{url}#md5={md5(KINDS['zip']).hexdigest()}"), Store(store.root, progress, Limits()))
    assert "not encrypted" not in progress.notes[0], "the checksum tells a change"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.org/x.zip", "https://b.org/x.zip"),
        ("https://a.org/x.zip?v=1", "https://a.org/x.zip?v=2"),
        ("https://a.org/x.zip", "https://a.org/x.tar"),
    ],
)
def test_folders_are_readable_and_differ(one: str, other: str, tmp_path: Path) -> None:
    folders = [WebArchive(address).folder(tmp_path) for address in (one, other)]
    assert folders[0] != folders[1]
    assert all(folder.parent == tmp_path / "web" and "org-x-" in folder.name for folder in folders)


@pytest.mark.parametrize(
    "path", ["/../../x.zip", "/..%2f..%2fx.zip", "/", "/%00.zip", "/" + "x" * 300 + ".zip"]
)
def test_a_folder_is_always_one_inside_the_store(path: str, tmp_path: Path) -> None:
    folder = WebArchive(f"https://a.org{path}").folder(tmp_path)
    assert folder.resolve().parent == (tmp_path / "web").resolve()
    assert not folder.name.startswith(".")
    assert len(folder.name) < 120
