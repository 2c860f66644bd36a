"""Passwords and signatures in addresses of shards: sent, and told nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FAST
from http_host import Host, dead_port, http_host
from shards.making import labelled, tar_of
from typer.testing import Result

from visionkit.errors import VisionkitError
from visionkit.shards.addresses import expand, shards_at, shown

Cli = Callable[..., Result]


def leaks(text: str) -> bool:
    return "SECRET" in text or "PASSW" in text


def signed(host: Host) -> str:
    for number in range(3):
        host.serve(f"/t-{number}.tar", tar_of(labelled(4 * number, 4)))
    return host.url.replace("//", "//user:PASSW0RD@") + "/t-{0..2}.tar?sig=SECRET123&Expires=SECRET9"


def refuse_leaks(folder: Path) -> None:
    """Raise where a file below `folder`, or its name, tells a secret that others may read."""
    for file in folder.rglob("*"):
        assert not leaks(str(file.relative_to(folder)))
        if file.is_file() and leaks(file.read_bytes().decode("latin-1")):
            assert file.name == "shards.json" and file.stat().st_mode & 0o777 == 0o600, file


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://me:PASSW@h/a.tar?sig=SECRET&x=1#SECRET", "http://h/a.tar?sig=…&x=…#…"),
        ("shards:https://me:PASSW@h/a.tar?SECRET", "shards:https://h/a.tar?…"),
        ("https://me:PA?SSW@h/{a,b}.tar", "https://h/{a,b}.tar"),
        ("https://[bad/a.tar?sig=SECRET", "https://[bad/a.tar?sig=…"),
        ("az://c/a.tar?sv=1&sig=SECRET", "az://c/a.tar?sv=…&sig=…"),
        ("s3://b/train-?.tar", "s3://b/train-?.tar"),
        ("a?b=c.tar", "a?b=c.tar"),
    ],
)
def test_what_is_shown_of_an_address(address: str, told: str) -> None:
    assert shown(address) == told


@pytest.mark.parametrize("end", ["none.tar", "{0..1.tar", "{a,a}.tar"])
def test_messages_hide_them(end: str) -> None:
    for where in (f"127.0.0.1:{dead_port()}", "127.0.0.1:999999"):
        with pytest.raises(VisionkitError) as raised:
            shards_at(expand(f"http://user:PASSW0RD@{where}/{end}?sig=SECRET123"))
        assert not leaks(str(raised.value)) and "?sig=…" in str(raised.value)


def test_names_of_shards_on_several_servers_hide_them() -> None:
    with http_host() as one, http_host() as two:
        addresses = [f"{signed(host).partition('{')[0]}0.tar?sig=SECRET" for host in (one, two)]
        assert not any(leaks(shard.name) for shard in shards_at(addresses))


def test_files_and_lists_hide_them(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("settings.ini").write_text("[paths]\ndata = store\n")
    with http_host() as host:
        data = signed(host)
        done = cli("check", "shards", "--data", data)
        assert not leaks(done.output), done.output
        assert any("?sig=SECRET123" in path for path in host.paths)
        assert any("Authorization" in request.headers for request in host.asked)
        listed = cli("data", "--list").output
        assert "t-{0..2}.tar?sig=" in listed.replace("\n", "") and not leaks(listed)
        refuse_leaks(tmp_path)
        done = cli("data", "--remove", data, "--yes")
        assert done.exit_code == 0 and not leaks(done.output), done.output
        assert not list(Path("store/catalogue").iterdir())
        assert cli("data", "--remove", data, "--yes").exit_code == 2


@pytest.mark.slow
def test_a_training_hides_them(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("settings.ini").write_text("[paths]\ndata = store\n")
    with http_host() as host:
        done = cli("shards", "--data", signed(host), *FAST, "--size", 32, "--out", "run")
        assert done.exit_code == 0 and not leaks(done.output), done.output
        done = cli("report", "run")
        assert done.exit_code == 0 and not leaks(done.output), done.output
        refuse_leaks(tmp_path)
