"""`--tensorboard` and `--wandb`: what they log, over stages and resumes, and that they change nothing."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FAST, Cli
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import Result

pytestmark = pytest.mark.usefixtures("unpainted")


def train(cli: Cli, pets: Path, *options: object) -> Result:
    """Two stages of two epochs."""
    stages = ["--size", 32, "--then", 40, "--epochs", 2]
    return cli("pets", "--data", pets, *FAST[:-2], *stages, *options)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def pictures(folder: Path) -> list[str]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return list(events.Tags()["images"])


def figures(run: Path) -> list[list[str]]:
    """history.csv without times."""
    with (run / "history.csv").open() as rows:
        return [row[:-3] for row in csv.reader(rows)]


def test_tensorboard(cli: Cli, pets: Path) -> None:
    """One curve over all stages; pictures at the end; the training is the same without it."""
    for out, more in (("logged", ["--tensorboard"]), ("plain", [])):
        result = train(cli, pets, "--out", out, *more)
        assert result.exit_code == 0, result.output
    found = scalars(Path("logged/tensorboard"))
    batches = len(Path("logged/batches.csv").read_text().splitlines()) - 1
    assert [step for step, _ in found["train_loss"]] == list(range(batches))
    with open("logged/history.csv") as rows:
        accuracy = [float(row["accuracy"]) for row in csv.DictReader(rows)]
    assert [value for _, value in found["accuracy"]] == pytest.approx(accuracy, abs=1e-6)
    assert {"confusion", "losses"} <= set(pictures(Path("logged/tensorboard")))
    assert figures(Path("logged")) == figures(Path("plain"))
    assert not Path("plain/tensorboard").exists()


def test_tensorboard_goes_on_after_a_resume(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is there twice, and none is missing."""
    import os
    import signal

    from visionkit.training.recording import Recording

    after_batch, seen = Recording.after_batch, 0

    def counted(recording: Recording) -> None:
        nonlocal seen
        after_batch(recording)
        seen += recording.stage is not None and recording.training
        if seen == 7:
            seen += 1
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Recording, "after_batch", counted)
        assert train(cli, pets, "--out", "run", "--tensorboard").exit_code == 130
    assert cli("resume", "run").exit_code == 0
    batches = len(Path("run/batches.csv").read_text().splitlines()) - 1
    assert [step for step, _ in scalars(Path("run/tensorboard"))["train_loss"]] == list(range(batches))


def test_wandb_offline(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, figures and settings are in one run, which bears the name of ours."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    result = train(cli, pets, "--out", "logged", "--wandb")
    assert result.exit_code == 0, result.output
    files = list(Path("logged/wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 1
    content = files[0].read_bytes()
    for logged in (b"train_loss", b"valid_loss", b"accuracy", b"logged", b"squeezenet1_1", b"plots/losses"):
        assert logged in content, logged
    assert train(cli, pets, "--out", "plain").exit_code == 0
    assert figures(Path("logged")) == figures(Path("plain"))


@pytest.mark.slow
def test_nobody_has_logged_in(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said before anything begins, and nothing is asked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    command = ["pets", "--data", pets, "--size", 32, *FAST, "--out", "run", "--wandb"]
    said = subprocess.run(
        [sys.executable, "-m", "visionkit", *map(str, command)], capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 2, said.stderr
    assert "wandb login" in said.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_package_that_is_not_there(
    cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    said = train(cli, pets, "--out", "run", f"--{name}")
    assert said.exit_code == 2
    assert f"pip install {name}" in said.output
    assert not Path("run").exists()
