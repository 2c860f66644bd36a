"""A download ends in the whole file or in one message, whatever the server and the connection do."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5, sha256
from pathlib import Path
from typing import IO, Any

import pytest
import requests
from http_host import Host, dead_port, http_host
from hypothesis import given, settings
from hypothesis import strategies as st

from visionkit.errors import UsageError, VisionkitError
from visionkit.progress import Advance, Silence, Unit
from visionkit.sources.downloads import attempts
from visionkit.sources.downloads import downloading as module
from visionkit.sources.downloads.answers import Session, public_url
from visionkit.sources.downloads.downloading import download, transfer
from visionkit.sources.downloads.partial import Partial

CONTENT = bytes(range(256)) * 400
THEN = "Wed, 01 Jan 2025 00:00:00 GMT"
LATER = "Thu, 02 Jan 2025 00:00:00 GMT"


class Heard(Silence):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tracks: list[tuple[str, int | None, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def track(self, label: str, total: int | None, unit: Unit) -> Iterator[Advance]:
        assert unit == "bytes"
        done = [0]

        def advance(count: int) -> None:
            done[0] += count

        try:
            yield advance
        finally:
            self.tracks.append((label, total, done[0]))


@pytest.fixture(scope="module")
def server() -> Iterator[Host]:
    with http_host() as host:
        yield host


@pytest.fixture
def host(server: Host) -> Host:
    server.files.clear()
    server.asked.clear()
    return server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the attempts waited: in a list, and not in fact."""
    slept: list[float] = []
    monkeypatch.setattr(attempts, "SLEEP", slept.append)
    return slept


@pytest.fixture(autouse=True)
def quick(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetch(url: str, target: Path, **options: Any) -> Path:
    return download(url, target, progress=options.pop("progress", Silence()), **options)


def message(url: str, target: Path, **options: Any) -> str:
    """What a download that fails says; there is no target after it."""
    with pytest.raises(VisionkitError) as caught:
        fetch(url, target, **options)
    assert not target.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def remains(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_arrives_whole_and_alone(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a.zip", CONTENT)
    heard = Heard()
    target = fetch(url, tmp_path / "new" / "a.zip", progress=heard)
    assert target == tmp_path / "new" / "a.zip"
    assert target.read_bytes() == CONTENT
    assert remains(target.parent) == {"a.zip"}
    assert heard.tracks == [("a.zip", len(CONTENT), len(CONTENT))]
    assert heard.notes == []


def test_the_target_is_replaced(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    (tmp_path / "a").write_bytes(b"older")
    assert fetch(url, tmp_path / "a", label="the file").read_bytes() == CONTENT


def test_an_empty_file(host: Host, tmp_path: Path) -> None:
    assert fetch(host.serve("/a", b""), tmp_path / "a").read_bytes() == b""


def test_a_cut_connection_goes_on_within_the_call(host: Host, waits: list[float], tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, cuts=[1000, 0, 20_000])
    heard = Heard()
    assert fetch(url, tmp_path / "a", progress=heard).read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=1000-", "bytes=1000-", "bytes=21000-"]
    assert host.asked[1].headers["If-Range"] == host.files["/a"].tag()
    assert sum(request.sent for request in host.asked) == len(CONTENT)
    assert heard.tracks == [("a", len(CONTENT), len(CONTENT))]
    assert len(waits) == 3


def test_it_goes_on_as_long_as_bytes_arrive(host: Host, waits: list[float], tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT[:4000], cuts=[100] * 30)
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT[:4000]
    assert len(waits) == 30
    assert max(waits) <= 2, "waits grow only while nothing arrives"


def test_a_connection_that_stalls_is_left_and_what_it_brought_kept(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUTS", (10, 0.1))
    url = host.serve("/a", CONTENT[:3000], trickle=1)
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT[:3000]
    assert host.ranges == [None, "bytes=1000-", "bytes=2000-"]


def test_it_gives_up_when_nothing_arrives(host: Host, waits: list[float], tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, cuts=[5000] + [0] * 50)
    said = message(url, tmp_path / "a")
    assert f"{url}: cannot be fetched" in said
    assert "call again: it goes on where it stopped" in said
    assert "--data" in said
    assert len(host.asked) == 1 + attempts.ATTEMPTS
    assert waits[-1] > waits[0]
    assert remains(tmp_path) == {".a.part", ".a.part.json"}

    host.asked.clear()
    host.files["/a"].cuts.clear()
    heard = Heard()
    assert fetch(url, tmp_path / "a", progress=heard).read_bytes() == CONTENT
    assert host.ranges == ["bytes=5000-"]
    assert heard.tracks == [("a", len(CONTENT), len(CONTENT))], "what was there counts"
    assert remains(tmp_path) == {"a"}


def test_a_killed_process_leaves_bytes_to_go_on_with(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, trickle=0.01)
    script = "import sys; from pathlib import Path; from visionkit.progress import Silence; "
    script += "import visionkit.sources.downloads.downloading as m; "
    script += "m._BLOCK = 1000; m.download(sys.argv[1], Path(sys.argv[2]), progress=Silence())"
    process = subprocess.Popen([sys.executable, "-c", script, url, str(tmp_path / "a")])
    part = tmp_path / ".a.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 3000):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "a").exists()
    have = part.stat().st_size
    assert 3000 < have < len(CONTENT)

    host.asked.clear()
    host.files["/a"].trickle = 0
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == [f"bytes={have}-"]
    assert host.asked[0].sent == len(CONTENT) - have


def leave_part(host: Host, url: str, target: Path, size: int) -> None:
    """A part of `size` bytes, of the file as it is now."""
    file = host.files["/a"]
    file.cuts = [size] + [0] * attempts.ATTEMPTS
    message(url, target)
    assert target.with_name(".a.part").stat().st_size == size
    file.cuts = []
    host.asked.clear()


@pytest.mark.parametrize("if_range", [True, False], ids=["If-Range heeded", "If-Range ignored"])
@pytest.mark.parametrize(
    ("etag", "modified"), [("strong", ""), ("", THEN), ("strong", THEN)], ids=["ETag", "date", "both"]
)
@pytest.mark.parametrize(
    "size", [len(CONTENT), 700, 1000], ids=["same size", "smaller", "as large as the part"]
)
def test_a_changed_file_starts_anew(
    size: int, etag: str, modified: str, if_range: bool, host: Host, tmp_path: Path
) -> None:
    url = host.serve("/a", CONTENT, etag=etag, modified=modified, if_range=if_range)
    leave_part(host, url, tmp_path / "a", 1000)
    changed = CONTENT[::-1][:size]
    host.serve("/a", changed, etag=etag, modified=modified and LATER, if_range=if_range)
    assert fetch(url, tmp_path / "a").read_bytes() == changed
    assert host.ranges[0] == "bytes=1000-"


def test_another_address_starts_anew(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    other = host.serve("/b", b"other")
    assert fetch(other, tmp_path / "a").read_bytes() == b"other"
    assert host.ranges == [None]


@pytest.mark.parametrize(
    ("etag", "modified", "expected"), [("weak", "", None), ("weak", THEN, THEN), ("", "", None)]
)
def test_only_a_strong_validator_is_gone_on_with(
    etag: str, modified: str, expected: str | None, host: Host, tmp_path: Path
) -> None:
    url = host.serve("/a", CONTENT, cuts=[3000], etag=etag, modified=modified)
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert len(host.asked) == 2
    assert host.asked[1].headers.get("If-Range") == expected
    assert host.ranges[1] == (expected and "bytes=3000-")


def test_a_server_without_ranges_sends_all_again(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, cuts=[3000], ranges=False)
    heard = Heard()
    assert fetch(url, tmp_path / "a", progress=heard).read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=3000-"]
    assert heard.tracks[-1] == ("a", len(CONTENT), len(CONTENT))


def test_a_server_without_ranges_that_always_cuts_is_given_up(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, cuts=[3000] * 50, ranges=False)
    assert "broke off" in message(url, tmp_path / "a")
    assert len(host.asked) == 1 + attempts.ATTEMPTS


def test_a_part_that_is_whole_is_asked_about(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    (tmp_path / ".a.part").write_bytes(CONTENT)  # killed between the last byte and the renaming
    heard = Heard()
    assert fetch(url, tmp_path / "a", progress=heard).read_bytes() == CONTENT
    assert host.asked[0].sent == 0
    assert heard.tracks == [("a", len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"url": 1}', '{"url": "x", "validator": "", "total": 1}'])
def test_a_part_without_a_sound_record_is_not_used(record: str, host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    (tmp_path / ".a.part").write_bytes(b"who knows what")
    (tmp_path / ".a.part.json").write_text(record)
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == [None]
    assert remains(tmp_path) == {"a"}


def test_a_part_that_is_too_long_is_not_used(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    (tmp_path / ".a.part").write_bytes(CONTENT + b"more")
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == [None]


@pytest.mark.parametrize(
    "content_range", ["bytes 0-99/102400", "bytes 1000-102399/5", "bytes */102400", "nonsense", ""]
)
def test_a_range_other_than_asked_is_not_appended(content_range: str, host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    same = host.files["/a"].tag()
    host.files["/a"].failures = [(206, {"Content-Range": content_range, "ETag": same})]
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == ["bytes=1000-", None]


def test_a_range_of_an_unknown_version_is_not_appended(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    host.files["/a"].failures = [(206, {"Content-Range": "bytes 1000-102399/102400"})]
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == ["bytes=1000-", None]


def test_part_of_the_rest_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    told = {"Content-Range": f"bytes 1000-1999/{len(CONTENT)}", "ETag": host.files["/a"].tag()}
    host.files["/a"].failures = [(206, told)]  # of which not a byte comes
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges == ["bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_checksum_is_verified(kind: str, host: Host, tmp_path: Path) -> None:
    digest = {"sha256": sha256, "md5": md5}[kind](CONTENT).hexdigest()
    url = host.serve("/a", CONTENT, cuts=[10_000])
    assert fetch(url, tmp_path / "a", checksum=f"{kind}:{digest.upper()}").read_bytes() == CONTENT
    wrong = digest[::-1]
    said = message(url, tmp_path / "b", checksum=f"{kind}:{wrong}")
    assert f"found {kind} {digest}, expected {wrong}" in said
    assert remains(tmp_path) == {"a"}, "the part is gone"


@pytest.mark.parametrize(
    "checksum", ["", ":", "sha256", "sha256:", "sha256:12", "md5:" + "g" * 32, "sha1:" + "0" * 40, "0" * 64]
)
def test_a_malformed_checksum(checksum: str, host: Host, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a checksum"):
        fetch(host.serve("/a", CONTENT), tmp_path / "a", checksum=checksum)
    assert host.asked == []


@pytest.mark.parametrize("length", ["right", "chunked", "none"])
def test_a_size_is_verified(length: str, host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, length=length)
    assert fetch(url, tmp_path / "a", size=len(CONTENT)).read_bytes() == CONTENT
    said = message(url, tmp_path / "b", size=99)
    found = "102,400 bytes" if length == "right" else "more than 99 bytes"  # of which no more is fetched
    assert f"found {found}, expected 99 bytes" in said
    assert remains(tmp_path) == {"a"}


@pytest.mark.parametrize("length", ["right", "chunked", "none"])
def test_a_file_shorter_than_its_size_is_refused(length: str, host: Host, tmp_path: Path) -> None:
    message(host.serve("/a", CONTENT, length=length), tmp_path / "a", size=len(CONTENT) + 1)


def test_a_length_that_is_too_large_is_never_whole(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, length=str(len(CONTENT) + 5), ranges=False)
    assert "broke off" in message(url, tmp_path / "a")


def test_chunks_that_end_properly_are_whole(host: Host, tmp_path: Path) -> None:
    heard = Heard()
    assert (
        fetch(host.serve("/a", CONTENT, length="chunked"), tmp_path / "a", progress=heard).read_bytes()
        == CONTENT
    )
    assert heard.tracks == [("a", None, len(CONTENT))]


def test_cut_chunks_are_not_whole(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, length="chunked", cuts=[5000] * 99, ranges=False)
    message(url, tmp_path / "a")
    host.serve("/a", CONTENT, length="chunked", cuts=[5000, 5000])
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges[-3:] == ["bytes=5000-", "bytes=10000-", "bytes=15000-"]


def test_a_body_whose_end_nobody_knows_is_refused(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, length="none")
    assert "does not say how long" in message(url, tmp_path / "a")
    assert fetch(url, tmp_path / "a", checksum=f"md5:{md5(CONTENT).hexdigest()}").read_bytes() == CONTENT


@pytest.mark.parametrize("length", ["right", "chunked"])
def test_compression_by_the_server_is_undone(length: str, host: Host, tmp_path: Path) -> None:
    url = host.serve("/a.tar", CONTENT, coding=True, length=length, cuts=[300])
    assert fetch(url, tmp_path / "a", size=len(CONTENT)).read_bytes() == CONTENT
    assert host.asked[0].headers["Accept-Encoding"] == "identity"
    assert host.ranges == [None, None]


def test_a_gzip_file_stays_one_where_the_server_says_so_twice(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a.tgz", CONTENT, headers={"Content-Encoding": "x-gzip"}, cuts=[700])
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert len(host.asked) > 1


@pytest.mark.parametrize("status", [429, 500, 503, 408])
def test_a_server_that_is_busy_is_asked_again(
    status: int, host: Host, waits: list[float], tmp_path: Path
) -> None:
    url = host.serve("/a", CONTENT, failures=[(status, {})] * 3)
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert len(waits) == 3
    assert 0 < waits[0] < waits[2]


def test_retry_after_is_honoured_within_bounds(host: Host, waits: list[float], tmp_path: Path) -> None:
    told = ["7", "99999", "Wed, 01 Jan 2125 00:00:00 GMT", "nonsense"]
    url = host.serve("/a", CONTENT, failures=[(429, {"Retry-After": after}) for after in told])
    heard = Heard()
    fetch(url, tmp_path / "a", progress=heard)
    assert waits[:3] == [7, attempts.LONGEST_WAIT, attempts.LONGEST_WAIT]
    assert 0 < waits[3] < 60
    assert "429" in heard.notes[0] and "7 s" in heard.notes[0]


def test_a_server_that_stays_busy(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, failures=[(503, {})] * 99)
    assert "503" in message(url, tmp_path / "a")
    assert len(host.asked) == attempts.ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_a_refusal_is_final(status: int, host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, failures=[(status, {})] * 9)
    said = message(url, tmp_path / "a")
    assert url in said and str(status) in said and "--data" in said
    assert len(host.asked) == 1
    assert remains(tmp_path) == set()


def test_a_refusal_later_keeps_what_has_arrived(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT)
    leave_part(host, url, tmp_path / "a", 1000)
    host.files["/a"].failures = [(403, {})]
    message(url, tmp_path / "a")
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges[-1] == "bytes=1000-"


@pytest.mark.parametrize("where", ["refused", "resolved"])
def test_no_connection(where: str, waits: list[float], tmp_path: Path) -> None:
    host = f"127.0.0.1:{dead_port()}" if where == "refused" else "no-such-host.invalid"
    said = message(f"http://{host}/a.zip", tmp_path / "a")
    assert f"http://{host}/a.zip: cannot be fetched" in said
    assert "Check the connection and call again: it goes on where it stopped" in said
    assert "--data" in said
    assert len(waits) == attempts.ATTEMPTS - 1


def test_a_web_page_in_place_of_an_archive(host: Host, tmp_path: Path) -> None:
    page = b"<html>log in</html>"
    url = host.serve("/a.tar.gz", page, kind="text/html; charset=utf-8")
    assert "a web page in place of the archive" in message(url, tmp_path / "a")
    assert remains(tmp_path) == set()
    assert fetch(host.serve("/page", page, kind="text/html"), tmp_path / "a").read_bytes() == page


def test_redirects_are_followed(host: Host, tmp_path: Path) -> None:
    host.serve("/a", CONTENT, cuts=[1000])
    url = host.serve("/b", b"", redirect=host.url + "/a")
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.paths == ["/b", "/a", "/b", "/a"]
    assert host.ranges[-1] == "bytes=1000-"


def test_redirects_without_end(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", b"", redirect="/a")
    assert "redirects again and again" in message(url, tmp_path / "a")
    assert len(host.asked) <= 12


@pytest.mark.parametrize("onward", ["ftp://127.0.0.1/a", "file:///etc/passwd", "http://[", "http:///nowhere"])
def test_a_redirect_to_no_web_address(onward: str, host: Host, tmp_path: Path) -> None:
    message(host.serve("/a", b"", redirect=onward), tmp_path / "a")


def answer(url: str, location: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 302
    response.url = url
    response.headers["Location"] = location
    response.raw = io.BytesIO()
    return response


def test_https_does_not_become_http() -> None:
    with Session() as session:
        assert session.get_redirect_target(answer("https://a.org/x", "/y")) == "/y"
        assert session.get_redirect_target(answer("https://a.org/x", "https://b.org/y")) == "https://b.org/y"
        assert session.get_redirect_target(answer("http://a.org/x", "https://b.org/y")) == "https://b.org/y"
        with pytest.raises(VisionkitError, match="not encrypted") as caught:
            session.get_redirect_target(answer("https://me:secret@a.org/x", "http://you:hidden@b.org/y"))
    assert "secret" not in str(caught.value) and "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///etc/passwd", "a.zip", "", "http://", "https:///a", "http://[a"]
)
def test_only_web_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="http:// or https://"):
        fetch(url, tmp_path / "a")


def test_a_port_that_is_none(tmp_path: Path) -> None:
    message("http://127.0.0.1:999999/a", tmp_path / "a")


def test_a_password_is_sent_and_not_told(host: Host, tmp_path: Path) -> None:
    url = host.serve("/a", CONTENT, failures=[(503, {"Retry-After": "9"})], cuts=[1000] + [0] * 99)
    secret = url.replace("http://", "http://me:secret@")
    heard = Heard()
    said = message(secret, tmp_path / "a", progress=heard)
    record = (tmp_path / ".a.part.json").read_text()
    assert "secret" not in said + record + "".join(heard.notes)
    assert json.loads(record)["url"] == url
    assert host.asked[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"
    for wrong in ("http://me:secret@127.0.0.1:999999/a", "ftp://me:secret@a/b", "http://me:secret@[a"):
        with pytest.raises(VisionkitError) as caught:
            fetch(wrong, tmp_path / "b")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert public_url("http://me:sec@ret@a/b@c") == "http://a/b@c"


def test_a_disk_that_is_too_small(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2000))
    url = host.serve("/a", CONTENT)
    assert "102.4 kB are needed and 2.0 kB are free" in message(url, tmp_path / "a")
    assert remains(tmp_path) == set()


def test_a_disk_that_fills_up(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, data: object, /) -> int:
            if self.tell() >= 3000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    def appending(partial: Partial) -> IO[bytes]:
        return Full(partial.file, "ab")  # type: ignore[return-value]

    url = host.serve("/a", CONTENT)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_BLOCK", 1000)
        patch.setattr(Partial, "appending", appending)
        assert "no space left" in message(url, tmp_path / "a")
    assert len(host.asked) == 1, "a full disk is no broken connection"
    assert fetch(url, tmp_path / "a").read_bytes() == CONTENT
    assert host.ranges[-1] == "bytes=3000-"


def test_a_folder_that_cannot_be_written(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VisionkitError, match="cannot be written"):
        fetch(host.serve("/a", CONTENT), tmp_path / "file" / "a")


def test_the_servers_name_of_the_file_is_told(host: Host, tmp_path: Path) -> None:
    headers = {"Content-Disposition": "attachment; filename*=UTF-8''..%2Fpets.zip"}
    url = host.serve("/get", CONTENT, headers=headers, cuts=[1000])
    assert transfer(url, tmp_path / "a", progress=Silence()) == (tmp_path / "a", "pets.zip")


BEHAVIOURS = st.fixed_dictionaries(
    {
        "cuts": st.lists(st.integers(0, 3000), max_size=12),
        "failures": st.lists(
            st.sampled_from([(503, {}), (429, {"Retry-After": "1"}), (404, {})]), max_size=2
        ),
        "ranges": st.booleans(),
        "if_range": st.booleans(),
        "etag": st.sampled_from(["strong", "weak", ""]),
        "modified": st.sampled_from(["", THEN]),
        "length": st.sampled_from(["right", "right", "chunked", "none", "2000"]),
        "coding": st.sampled_from([False, False, True]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(min_size=0, max_size=3000),
    before=st.none() | st.binary(max_size=3000),
    behaviours=st.lists(BEHAVIOURS, min_size=1, max_size=3),
    checked=st.sampled_from(["", "size", "checksum"]),
)
def test_whole_or_not_there(
    server: Host, content: bytes, before: bytes | None, behaviours: list[dict[str, Any]], checked: str
) -> None:
    """One file behind one address or, first, another one; several calls, each to a server of another mood."""
    options: dict[str, Any] = {"": {}, "size": {"size": len(content)}}.get(checked, {})
    if checked == "checksum":
        options = {"checksum": f"sha256:{sha256(content).hexdigest()}"}
    waiting, attempts.SLEEP = attempts.SLEEP, lambda _: None
    folder = Path(tempfile.mkdtemp())
    target = folder / "a"
    try:
        if before is not None:  # a part of another file, that is there no more
            url = server.serve("/p", before, cuts=[len(before) // 2] + [0] * 9, **{"modified": LATER})
            with_error(url, folder / "a", {})
            target.unlink(missing_ok=True)
        for behaviour in behaviours:
            behaviour = {name: list(v) if isinstance(v, list) else v for name, v in behaviour.items()}
            behaviour["coding"] &= behaviour["length"] != "2000"  # nobody can tell that a gzip was cut so
            url = server.serve("/p", content, **behaviour)
            failed = with_error(url, target, options)
            assert failed == (not target.exists())
            if failed:
                continue
            lied = behaviour["length"] == "2000" and not checked
            assert target.read_bytes() == (content[:2000] if lied else content)
            assert remains(folder) == {"a"}
            target.unlink()
    finally:
        attempts.SLEEP = waiting
        shutil.rmtree(folder)


def with_error(url: str, target: Path, options: dict[str, Any]) -> bool:
    """Whether the download failed, in one message."""
    try:
        fetch(url, target, **options)
    except VisionkitError as error:
        return "\n" not in str(error)
    return False
