"""Addresses and the servers behind them: redirects inwards, endless, slow and broken answers."""

from __future__ import annotations

import gzip
import io
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from conftest import Cli, noise
from hostile.hammering import assert_clear, assert_ended_well, hammer, many
from hostile.mutating import mutated_bytes
from hostile.raw_server import RawServer, page, raw_server, redirect
from hypothesis import given
from hypothesis import strategies as st
from inference.stored import stored_bundle
from PIL import Image

from visionkit.errors import DataError, VisionkitError
from visionkit.inference import image_sources
from visionkit.inference.image_sources import fetch_image
from visionkit.progress import Silence
from visionkit.sources.downloads import addresses, attempts, downloading, space
from visionkit.sources.downloads.addresses import kind_of
from visionkit.sources.downloads.downloading import download

OUTSIDE = "127.0.0.2"
"""Plays an address of the internet here; Linux has all of 127.0.0.0/8."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts, no proxy, and no names but localhost."""
    names(monkeypatch, {})
    monkeypatch.setattr(attempts, "SLEEP", lambda seconds: None)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """A server on the internet."""
    real = addresses.kind_of
    monkeypatch.setattr(addresses, "kind_of", lambda text: "public" if text == OUTSIDE else real(text))
    with raw_server(OUTSIDE) as server:
        yield server


@pytest.fixture
def inside() -> Iterator[RawServer]:
    """A server that only this machine reaches."""
    with raw_server() as server:
        server.answer = page(b"secret")
        yield server


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(1, 20, 20)).save(file, "PNG")
    return file.getvalue()


def refusal(url: str, folder: Path) -> str:
    """The message of a download; nothing is left where it should have gone, and it is of one line."""
    with pytest.raises(VisionkitError) as caught:
        download(url, folder / "file", progress=Silence())
    assert not (folder / "file").exists() and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("0.0.0.0", "loopback"),
        ("::1", "loopback"),
        ("::", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("::7f00:1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.100.100.200", "private"),
        ("198.18.0.1", "private"),
        ("224.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("ff02::1", "private"),
    ],
)
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@given(st.ip_addresses())
def test_every_address_has_a_kind(address: object) -> None:
    kind = kind_of(str(address))
    if kind == "public":
        assert getattr(address, "is_global", False)
    if getattr(address, "version", 6) == 4:
        assert kind_of(f"::ffff:{address}") == kind


INWARDS = [
    "http://127.0.0.1:{port}/secret",
    "http://localhost:{port}/secret",
    "//127.0.0.1:{port}/secret",
    "http://[::ffff:127.0.0.1]:{port}/secret",
    "http://2130706433:{port}/secret",
    "http://0x7f.1:{port}/secret",
    "http://0:{port}/secret",
    "http://someone:password@127.0.0.1:{port}/secret",
    "http://127.0.0.1:{port}#@photos.example/",
    "http://inside.example:{port}/secret",
]


@pytest.mark.parametrize("onward", INWARDS)
def test_a_redirect_inwards_is_refused_before_anything_is_asked(
    onward: str, outside: RawServer, inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, {"inside.example": ["127.0.0.1"]})
    outside.answer = redirect(onward.format(port=inside.port))
    said = refusal(f"{outside.url}/a.zip", tmp_path)
    assert inside.asked == [] and "secret" not in said and "password" not in said
    if "0x7f" not in onward and "2130706433" not in onward:  # which some systems take for names
        assert "loopback address" in said


def names(monkeypatch: pytest.MonkeyPatch, known: dict[str, list[str]]) -> None:
    """Names that mean other addresses each time they are asked for; the last one stays."""
    real = socket.getaddrinfo

    def answer(host: str, *args: object, **kwargs: object) -> object:
        if host not in known:
            if any(letter.isalpha() and letter not in "abcdefx" for letter in host) and host != "localhost":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return real(host, *args, **kwargs)  # type: ignore[arg-type]
        meant = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return real(meant, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize("to", ["169.254.169.254", "10.255.255.1", "192.168.255.1", "[fe80::1]", "[fd00::1]"])
def test_addresses_of_machines_nearby_are_not_even_connected_to(
    to: str, outside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.answer = redirect(f"http://{to}/latest/meta-data/")
    connected = []
    real = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, place: (connected.append(place[0]), real(self, place))[1]
    )
    said = refusal(f"{outside.url}/a.zip", tmp_path)
    assert set(connected) == {OUTSIDE} and ("private address" in said or "link-local address" in said)


def test_a_name_that_changes_its_meaning_is_refused(
    outside: RawServer, inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is looked at, inward when it is connected to."""
    names(monkeypatch, {"photos.example": [OUTSIDE, "127.0.0.1"]})
    outside.answer = redirect(f"http://photos.example:{inside.port}/secret")
    assert "loopback address" in refusal(f"{outside.url}/a.zip", tmp_path)
    assert set(inside.asked) <= {""}  # connected to at most, and told nothing


def test_a_connection_that_is_kept_open_is_looked_at_too(
    outside: RawServer, inside: RawServer, tmp_path: Path
) -> None:
    from visionkit.sources.downloads.answers import Session

    inside.answer = page(b"own").replace(b"Connection: close", b"Connection: keep-alive")
    outside.answer = redirect(f"{inside.url}/secret")
    with Session() as session:
        assert session.get(f"{inside.url}/own").content == b"own"
        with pytest.raises(VisionkitError, match="loopback address"):
            session.get(f"{outside.url}/a")
    assert all("secret" not in asked for asked in inside.asked)


def test_what_the_user_names_is_fetched_from_wherever_it_is(inside: RawServer, tmp_path: Path) -> None:
    other = f"{inside.url}/moved"
    inside.answer = page(b"content")
    assert download(f"{inside.url}/a", tmp_path / "a", progress=Silence()).read_bytes() == b"content"

    def answer(connection: socket.socket) -> None:
        connection.sendall(redirect(other) if len(inside.asked) == 2 else page(b"content"))

    inside.answer = answer
    assert download(f"{inside.url}/b", tmp_path / "b", progress=Silence()).read_bytes() == b"content"
    assert inside.asked[-1].startswith("GET /moved")


def test_one_kind_of_inward_address_does_not_lead_to_another(inside: RawServer, tmp_path: Path) -> None:
    inside.answer = redirect("http://169.254.169.254/latest/meta-data/")
    assert "link-local address" in refusal(f"{inside.url}/a", tmp_path)


@pytest.mark.parametrize("scheme", ["file", "gopher", "ftp", "data", "javascript", "dict", "unix", "FILE"])
def test_other_schemes(scheme: str, cli: Cli, inside: RawServer, tmp_path: Path) -> None:
    stored_bundle(Path("model"), "single-label")
    for address in (f"{scheme}:///etc/passwd", f"{scheme}://127.0.0.1/etc/passwd"):
        for command in (("predict", "model", address), ("data", address), ("pets", "--data", address)):
            result = cli(*command)
            assert_ended_well(result, command)
            assert result.exit_code in (1, 2) and "root:" not in result.output
        inside.answer = redirect(address)
        said = refusal(f"{inside.url}/a", tmp_path)
        assert "root:" not in said


ADDRESSES = [
    "http://",
    "http://[",
    "http://[::1",
    "http://z:b:c/",
    "http://z:99999/",
    "http://z:-1/",
    "http://\0/",
    "http://z b/",
    "http://exa\nmple/",
    "http://\x1b[2J/",
    "http://" + "z" * 5000,
    "http://z." * 50,
    "http:///x",
    "http://user:secret@[",
    "http://%zz/",
    "http://１２７.０.０.１:9/",
    "http://xn--/",
    "http://.../",
    "http://a@b@z:0/",
    "http://127.0.0.1:0/",
    "https://127.0.0.1:1/",
    "http://*/",
    "http://z/\ud800",
    "http://-a-.invalid/",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_malformed_addresses(address: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fetch_image(address, tmp_path)
    assert "secret" not in str(caught.value)
    with pytest.raises(VisionkitError) as refused:
        download(address, tmp_path / "file", progress=Silence())
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_redirects_in_a_circle(inside: RawServer, tmp_path: Path) -> None:
    inside.answer = redirect(f"{inside.url}/again")
    assert "redirects again and again" in refusal(f"{inside.url}/a", tmp_path)
    assert len(inside.asked) == 11


def test_endless_bodies_of_images(inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sources, "MOST_BYTES", 2_000_000)
    for head in (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n",
    ):
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n" if b"chunked" in head else bytes(1 << 16)

        def answer(connection: socket.socket, head: bytes = head, chunk: bytes = chunk) -> None:
            connection.sendall(head)
            while True:
                connection.sendall(chunk)

        inside.answer = answer
        with pytest.raises(DataError, match=r"larger than 2\.0 MB"):
            fetch_image(f"{inside.url}/a.png", tmp_path)


def test_an_endless_body_does_not_fill_the_disk(
    inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "KEPT_FREE", 1 << 60)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")

    inside.answer = answer
    assert "does not end" in refusal(f"{inside.url}/a.zip", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_size_that_is_known_is_not_fetched(inside: RawServer, tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")

    inside.answer = answer
    with pytest.raises(VisionkitError, match="more than 100,000 bytes"):
        download(f"{inside.url}/a", tmp_path / "a", progress=Silence(), size=100_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["status", "headers", "body", "chunk"])
def test_answers_that_drip(
    where: str, inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then, which no time-out between bytes ends."""
    monkeypatch.setattr(downloading, "TIMEOUTS", (1.0, 1.0))
    monkeypatch.setattr(image_sources, "MOST_SECONDS", 3.0)
    heads = {
        "status": b"",
        "headers": b"HTTP/1.1 200 OK\r\n",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
    }

    def answer(connection: socket.socket) -> None:
        connection.sendall(heads[where])
        for _ in range(200):
            connection.sendall(b"H")
            time.sleep(0.1)

    inside.answer = answer
    with pytest.raises(DataError, match=r"did not answer within 2 s|takes longer than 3 s"):
        fetch_image(f"{inside.url}/a.png", tmp_path)
    assert len(inside.asked) == 1


def coded(times: int) -> bytes:
    body = bytes(20_000_000)
    for _ in range(times):
        body = gzip.compress(body)
    return body


def test_bombs_in_the_transfers_compression(
    inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sources, "MOST_BYTES", 2_000_000)
    inside.answer = page(coded(1), Content_Encoding="gzip")
    with pytest.raises(DataError, match=r"larger than 2\.0 MB"):
        fetch_image(f"{inside.url}/a.png", tmp_path)
    for told in ("gzip, gzip", "gzip, gzip, gzip, gzip, gzip, gzip", "br", "zstd", "x" * 500, "gzip,"):
        inside.answer = page(coded(2), Content_Encoding=told)
        assert "compressed in a way" in refusal(f"{inside.url}/a", tmp_path)
    inside.answer = page(zlib.compress(b"content"), Content_Encoding="deflate")
    assert download(f"{inside.url}/a", tmp_path / "a", progress=Silence()).read_bytes() == b"content"


LENGTHS = [
    "\xb2",
    "9" * 4400,
    "9" * 30,
    "-1",
    "+5",
    "5, 5",
    "5, 6",
    "0x10",
    "",
    " 5 ",
    "1e3",
    "５".encode().decode("latin-1"),
    "5\x00",
]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content", "416 x", "429 x", "503 x", "302 x"])
def test_lengths_that_are_none(length: str, status: str, inside: RawServer, tmp_path: Path) -> None:
    told = {"Content_Length": length, "Content_Range": f"bytes 0-{length}/{length}", "Retry_After": length}
    inside.answer = page(b"hello", status, **told)
    try:
        download(f"{inside.url}/a", tmp_path / "a", progress=Silence())
    except VisionkitError as error:
        assert_clear(str(error), length)
    else:
        assert (tmp_path / "a").read_bytes() == b"hello"


def test_what_a_server_says_is_shown_and_not_obeyed(
    cli: Cli, inside: RawServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stored_bundle(Path("model"), "single-label")
    for answer in (
        page(b"", "503 \x1b]0;owned\x07\x1b[2J[red]x[/red]"),
        page(b"", "404 \x1b[2J"),
        page(b"x", Content_Disposition='attachment; filename="\x1b[2J.png"'),
        page(b"x", Content_Type="\x1b[2J", ETag="\x1b[2J"),
    ):
        inside.answer = answer
        for command in (
            ("predict", "model", f"{inside.url}/%1b]0;owned%07.png"),
            ("data", f"{inside.url}/%1b]0;owned%07.zip"),
        ):
            assert_ended_well(cli(*command), command)
            assert "\x1b" not in "".join(capfd.readouterr())


GOOD = [
    page(png(), Content_Type="image/png", ETag='"abc"', Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT"),
    page(b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    + b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n",
    page(gzip.compress(png()), Content_Encoding="gzip"),
    page(b"rest", "206 Partial Content", Content_Range="bytes 5-8/9", ETag='"abc"'),
    page(b"", "429 Too Many Requests", Retry_After="Mon, 01 Jan 2024 00:00:00 GMT"),
    page(b"x", Content_Disposition="attachment; filename*=UTF-8''a%20b.zip; filename=\"x.zip\""),
    redirect("/elsewhere?a=b#c"),
]


@many(30, 400)
def test_answers_with_changes(
    count: int, inside: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any bytes in place of an answer: a file, or one message."""
    monkeypatch.setattr(downloading, "TIMEOUTS", (1.0, 1.0))
    monkeypatch.setattr(downloading, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)

    def case(random: Random) -> None:
        inside.answer = mutated_bytes(random.choice(GOOD), random, most=4)
        if random.random() < 0.2:
            inside.answer = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"Y: " + b"z" * 100_000 + b"\r\n\r\n"
        fetch_image(f"{inside.url}/a.png", tmp_path)

    hammer("answers", count, case)
