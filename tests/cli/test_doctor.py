"""`visionkit doctor`: what it finds on machines that lack this or that, and what it never says."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from conftest import Cli
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from visionkit.doctor.surroundings import masked

TOPICS = ["packages", "device", "precision", "memory", "settings", "disks", "data sets", "weights"]
TOPICS += ["credentials", "compiler", "network", "terminal"]
SECRETS = {
    name: f"{number}qZ{number}xK9vW2jY4{number}pL8/+m{number}Qh7"
    for number, name in enumerate(("token", "key", "hub", "proxy", "user", "file", "log-in", "broken"))
}
KEPT = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
NO_NETWORK = """
import socket
def refuse(*arguments, **names):
    raise SystemExit('the network was touched')
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


class Machine(NamedTuple):
    """A home and a folder to work in, both empty, and what is found before the installed packages."""

    home: Path
    work: Path
    packages: Path

    def doctor(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"HOME": str(self.home), "PYTHONPATH": str(self.packages), "LANG": "C.UTF-8"}
        return subprocess.run(
            [sys.executable, "-m", "visionkit", "doctor", *options],
            capture_output=True,
            text=True,
            cwd=self.work,
            env=environment | variables,
            check=False,
            timeout=120,
        )

    def found(self, *options: str, **variables: str) -> dict[str, Any]:
        done = self.doctor("--json", *options, **variables)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.stderr == "" and done.returncode == (0 if found["works"] else 1)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "home", tmp_path / "work", tmp_path / "packages")
    for folder in made:
        folder.mkdir()
    (made.packages / "sitecustomize.py").write_text(NO_NETWORK)
    return made


@pytest.fixture
def here(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """As `machine.doctor`, in this process, which has torch already."""
    from visionkit.cli.app import app

    monkeypatch.chdir(machine.work)
    monkeypatch.syspath_prepend(machine.packages)
    for name in set(os.environ) - set(KEPT):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(machine.home))

    return lambda *options: CliRunner().invoke(app, ["doctor", *options], prog_name="visionkit")


@pytest.fixture
def found_here(here: Callable[..., Result]) -> Callable[[], dict[str, Any]]:
    """As `machine.found`, in this process."""

    def call() -> dict[str, Any]:
        done = here("--json")
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.stderr == "" and done.exit_code == (0 if found["works"] else 1)
        return found

    return call


def problem(found: dict[str, Any], *words: str) -> dict[str, Any]:
    (one,) = [each for each in found["problems"] if all(word in each["what"] for word in words)]
    assert one["remedy"]
    return dict(one)


def test_a_sound_machine_is_left_as_it_was(machine: Machine) -> None:
    found = machine.found()
    assert list(found) == ["works", "topics", "problems"] and found["works"] is True
    assert list(found["topics"]) == TOPICS
    assert not [each for each in found["problems"] if each["stops"]]
    assert all(sorted(each) == ["remedy", "stops", "what"] for each in found["problems"])
    assert all(
        isinstance(value, (str, int, float, bool))
        for facts in found["topics"].values()
        for value in facts.values()
    )
    topics = found["topics"]
    assert {"visionkit", "Python", "fastai", "torch", "torchvision"} <= set(topics["packages"])
    assert topics["disks"]["runs folder"] == str(machine.work / "runs")
    assert topics["disks"]["data folder"] == str(machine.home / ".visionkit")
    assert topics["disks"]["runs free"] > 0 and topics["disks"]["runs writable"] is True
    assert topics["credentials"] == {"Kaggle": False, "Hugging Face": False}
    assert topics["settings"] == {"file": ""}
    assert topics["precision"]["auto is"] in ("fp32", "bf16", "fp16")
    assert not list(machine.home.iterdir()) and not list(machine.work.iterdir())


def test_tables_for_people(here: Callable[..., Result]) -> None:
    done = here()
    assert done.exit_code == 0 and done.stderr == ""
    for words in (*TOPICS, "torch", "trainings run on", "free", "problems"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout and max(map(len, done.stdout.splitlines())) <= 240


@pytest.mark.parametrize(
    "raised",
    [
        "ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
        "OSError('libcudart.so.13: cannot open shared object file')",
        "RuntimeError('broken \\x1b[31m in two\\nlines')",
    ],
)
def test_torch_that_cannot_be_imported(raised: str, machine: Machine) -> None:
    (machine.packages / "torch").mkdir()
    (machine.packages / "torch" / "__init__.py").write_text(f"raise {raised}\n")
    found = machine.found()
    assert problem(found, "torch cannot be imported")["stops"] is True
    assert list(found["topics"]) == TOPICS and found["topics"]["disks"]["runs free"] > 0
    if "broken" in raised:
        shown = machine.doctor()
        assert shown.returncode == 1 and "\x1b" not in shown.stdout and "in two lines" in shown.stdout


def test_torchvision_that_does_not_fit(machine: Machine) -> None:
    (machine.packages / "torchvision").mkdir()
    (machine.packages / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    assert "nms" in problem(machine.found(), "torchvision cannot be imported")["what"]


def test_package_that_is_too_old(machine: Machine, found_here: Callable[[], dict[str, Any]]) -> None:
    for name, version in (("torch", "1.4.0"), ("pillow", "9.0")):
        about = machine.packages / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    found = found_here()
    old = problem(found, "torch 1.4.0: visionkit needs >=")
    assert old["stops"] is True and old["remedy"].startswith("pip install --upgrade 'torch>=")
    assert problem(found, "pillow 9.0")["stops"] is True
    assert found["topics"]["packages"]["torch"] == "1.4.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[training]\nepoch = 3\n", ("settings.ini", "epoch")),
        ("[training\n", ("settings.ini", "not a settings file")),
        ("[paths]\nrun = x\n", ("settings.ini", "run")),
        ("\xff\n", ("settings.ini", "cannot be read")),
    ],
)
def test_broken_settings(text: str, words: tuple[str, ...], cli: Cli) -> None:
    Path("settings.ini").write_bytes(text.encode("latin-1"))
    result = cli("doctor", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert problem(found, *words)["stops"] is True
    assert found["topics"]["settings"]["valid"] is False


def test_settings_that_are_named(cli: Cli) -> None:
    Path("own.ini").write_text("[paths]\nruns = elsewhere\ndata = \x1b[31mred\n[pets]\nlr = 0.1\n")
    found = json.loads(cli("doctor", "--json", "--settings", "own.ini").stdout)
    assert found["topics"]["settings"]["sections"] == "paths, pets"
    assert found["topics"]["disks"]["runs folder"] == str(Path("elsewhere").absolute())
    assert "\x1b" not in cli("doctor", "--settings", "own.ini").stdout
    missing = json.loads(cli("doctor", "--json", "--settings", "none.ini").stdout)
    assert problem(missing, "none.ini")["stops"] is True


def pieces(secret: str) -> Iterator[str]:
    """Whatever would give some of it away."""
    half = len(secret) // 2
    for part in (secret, secret[:half], secret[half:], secret.split("/")[0]):
        yield from (part, quote(part), quote(part, safe=""), part[::-1], part.encode().hex())
        for shift in range(3):  # base64 depends on what stands before
            yield base64.b64encode(b"x" * shift + part.encode()).decode()[4:-4]
    yield from (secret[place : place + 4] for place in range(len(secret) - 3))


@pytest.mark.slow
def test_secrets_are_present_and_never_told(machine: Machine) -> None:
    kaggle, hub = machine.home / ".kaggle", machine.home / ".cache" / "huggingface"
    kaggle.mkdir()
    hub.mkdir(parents=True)
    (kaggle / "access_token").write_text(SECRETS["file"])
    (kaggle / "kaggle.json").write_text(json.dumps({"username": SECRETS["user"]}))
    (kaggle / "credentials.json").write_text(f'{{"refresh_token": {SECRETS["log-in"]}')
    (hub / "token").write_text(SECRETS["broken"])
    for file in (*kaggle.iterdir(), hub / "token"):
        file.chmod(0o644)
    (kaggle / "kaggle.json").chmod(0o600)
    variables = {
        "KAGGLE_API_TOKEN": SECRETS["token"],
        "KAGGLE_KEY": SECRETS["key"],
        "HF_TOKEN": SECRETS["hub"],
        "https_proxy": f"http://{SECRETS['user']}:{SECRETS['proxy']}@proxy.example:3128/{SECRETS['key']}",
        "HTTP_PROXY": f"{SECRETS['user']}:{SECRETS['proxy']}@proxy.example:3128",
        "ALL_PROXY": f"socks5://{SECRETS['proxy']}@proxy.example?{SECRETS['key']}",
    }
    for options in ((), ("--json",)):
        done = machine.doctor(*options, **variables)
        for output in (done.stdout, done.stderr):
            for secret in SECRETS.values():
                told = [piece for piece in pieces(secret) if len(piece) >= 4 and piece in output]
                assert not told
    found = machine.found(**variables)
    assert found["topics"]["credentials"] == {"Kaggle": True, "Hugging Face": True}
    assert found["topics"]["network"]["https_proxy"] == "http://***@proxy.example:3128"
    assert found["topics"]["network"]["HTTP_PROXY"] == "***@proxy.example:3128"
    for file in (kaggle / "access_token", kaggle / "credentials.json", hub / "token"):
        assert problem(found, str(file), "others")["remedy"] == f"chmod 600 {file}"
    assert not [each for each in found["problems"] if f"{kaggle / 'kaggle.json'}: others" in each["what"]]
    assert problem(found, "Kaggle", "credentials.json", "cannot be used")["stops"] is False


@given(
    user=st.text(min_size=1, max_size=20).map(lambda text: f"usr{text}"),
    password=st.text(min_size=1, max_size=20).map(lambda text: f"pw{text}"),
    scheme=st.sampled_from(["", "http://", "socks5h://"]),
)
def test_masked_proxies_have_neither_user_nor_password(user: str, password: str, scheme: str) -> None:
    shown = masked(f"{scheme}{user}:{password}@host.example:8080")
    assert shown == f"{scheme}***@host.example:8080"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`mounted("ro")` is a disk of its own, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        call = ["mount", "-t", "tmpfs", "-o", options, "visionkit-test", str(place)]
        if not shutil.which("mount") or subprocess.run(call, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a disk; the same is tested without one, too")
        return place

    yield mount
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize(("options", "words"), [("ro", "cannot be written"), ("size=64k", "is full")])
def test_disk_that_takes_nothing(
    options: str,
    words: str,
    machine: Machine,
    mounted: Callable[[str], Path],
    found_here: Callable[[], dict[str, Any]],
) -> None:
    disk = mounted(options)
    (machine.work / "settings.ini").write_text(f"[paths]\nruns = {disk / 'runs'}\ndata = {disk}\n")
    found = found_here()
    one = problem(found, "runs", words)
    assert one["stops"] is True and "settings.ini" in one["remedy"]
    assert problem(found, "data", words)["stops"] is False


def test_file_where_a_folder_should_be(machine: Machine, found_here: Callable[[], dict[str, Any]]) -> None:
    (machine.work / "runs").write_text("in the way")
    assert problem(found_here(), "runs", "is no folder")["stops"] is True


def test_full_or_closed_disk_without_mounting(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    result = cli("doctor", "--json")
    assert result.exit_code == 1
    assert problem(json.loads(result.stdout), "runs", "is full (1.0 MB free)")["stops"] is True
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    found = json.loads(cli("doctor", "--json").stdout)
    assert problem(found, "runs", "has only 1.0 GB free")["stops"] is False
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert problem(json.loads(cli("doctor", "--json").stdout), "runs", "cannot be written")["stops"] is True


def test_driver_that_torch_cannot_use(
    machine: Machine, found_here: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch uses the GPU here")
    program = machine.packages / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '| NVIDIA-SMI 390.1  Driver Version: 390.1  CUDA Version: 9.1 |'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{machine.packages}{os.pathsep}{os.environ['PATH']}")
    found = found_here()
    words = (
        f"built for CUDA {torch.version.cuda}, and the driver is for 9.1" if torch.version.cuda else "CUDA"
    )
    assert problem(found, "GPU", words)["stops"] is False
    assert found["topics"]["device"]["driver"] == "390.1, for CUDA 9.1"


def test_fetched_data_and_weights_are_listed(
    machine: Machine, found_here: Callable[[], dict[str, Any]]
) -> None:
    checkpoints = machine.home / ".cache" / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "resnet34-b627a593.pth").write_bytes(b"")
    data = machine.home / "photos"
    data.mkdir()
    records = machine.home / ".visionkit" / "catalogue"
    records.mkdir(parents=True)
    record = {"name": "fastai:PETS", "folder": str(data), "url": "", "licence": "", "files": 2, "bytes": 3000}
    (records / "pets.json").write_text(json.dumps({**record, "fetched": "2026-11-21", "leftovers": []}))
    topics = found_here()["topics"]
    assert topics["weights"]["torchvision"] == "resnet34-b627a593" and topics["weights"]["timm"] == ""
    assert topics["data sets"]["pets"] == str(data) and topics["data sets"]["planet"] == ""
