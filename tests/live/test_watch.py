"""`visionkit watch`, and live.csv, from which it draws."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FAST, Cli
from hypothesis import given
from hypothesis import strategies as st

from visionkit.live.drawing import AROUND, LOWEST, chart, words
from visionkit.live.log import LIVE_FILE, LiveLog, read_live
from visionkit.live.view import View, view
from visionkit.runs import Run
from visionkit.training.progress import EpochResult, PlainReporter
from visionkit.training.stages import Stage

pytestmark = pytest.mark.usefixtures("unpainted")

STAGES = [
    Stage(number=1, size=32, epochs=2, frozen=True, lr=0.1, lr_mult=1.0),
    Stage(number=2, size=64, epochs=1, frozen=False, lr=0.1, lr_mult=1.0),
]
INFO = {
    "name": "a run",
    "status": "running",
    "stages": [
        {"number": stage.number, "size": stage.size, "name": stage.name, "epochs": stage.epochs}
        for stage in STAGES
    ],
}


def result(stage: Stage, epoch: int, loss: float) -> EpochResult:
    return EpochResult(stage=stage, epoch=epoch, lr=0.1, train_loss=loss, valid_loss=loss, metrics={})


def test_a_done_run(cli: Cli, pets: Path) -> None:
    """Losses of both kinds, and what it came to; live.csv is gone."""
    options = ["--data", pets, "--size", 32, *FAST[:-2], "--epochs", 2, "--out", "run"]
    assert cli("pets", *options).exit_code == 0
    assert not Path("run", LIVE_FILE).exists()
    said = cli("watch", "run")
    assert said.exit_code == 0, said.output
    assert "run: done" in said.output
    assert "training loss" in said.output and "validation loss" in said.output
    assert f"accuracy {Run.read(Path('run')).metrics['accuracy']:.4f}" in said.output
    assert max(map(len, said.output.splitlines())) <= 80


def test_while_it_trains(cli: Cli, pets: Path) -> None:
    """Another process sees where the training is, before its first epoch is over."""
    options = ["--data", pets, "--size", 48, *FAST[:-2], "--epochs", 400, "--out", "run"]
    command = ["-m", "visionkit", "pets", *options]
    training = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while len(read_live(Path("run"))) < 3 and time.monotonic() < deadline and training.poll() is None:
            time.sleep(0.2)
        said = cli("watch", "run", "--once")
    finally:
        training.kill()
        training.wait()
    assert said.exit_code == 0, said.output
    assert "run: running, stage 1 of 1, 48 px" in said.output and "of 400" in said.output
    said = cli("watch", "run")
    assert "run: interrupted" in said.output, "the process is gone"


def test_no_run(cli: Cli) -> None:
    said = cli("watch")
    assert said.exit_code == 2 and "no run" in said.output


def test_what_is_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place, pace and time left, over two stages."""
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log = LiveLog(tmp_path, PlainReporter())
    for epoch in (1, 2):
        log.epoch_started(STAGES[0], epoch, 100)
        for _ in range(10):
            now += 3.0
            log.batch_done(10, 1 / now)
        log.epoch_done(result(STAGES[0], epoch, 0.5))
    seen = view(Run(tmp_path, dict(INFO, pid=0, host="elsewhere")))
    assert seen.place == 2.0 and seen.epochs == 3
    assert seen.pace == pytest.approx(100 / 30)
    assert seen.left == pytest.approx(30 * 4), "a stage at twice the size: four times as long"
    assert [name for _, name in seen.stages] == ["32 px frozen", "64 px unfrozen"]
    assert "epoch 2 of 2, validating" in seen.position
    log.epoch_started(STAGES[1], 1, 100)
    log.batch_done(50, 0.25)
    assert view(Run(tmp_path, dict(INFO, pid=0, host="elsewhere"))).place == 2.0
    now += 3.0
    log.batch_done(20, 0.25)
    assert view(Run(tmp_path, dict(INFO, pid=0, host="elsewhere"))).place == pytest.approx(2.7)


def test_a_stage_that_begins_again_counts_once(tmp_path: Path) -> None:
    log = LiveLog(tmp_path, PlainReporter())
    for _ in range(2):
        for epoch in (1, 2):
            log.epoch_started(STAGES[0], epoch, 10)
            log.epoch_done(result(STAGES[0], epoch, 0.5))
    moments = read_live(tmp_path)
    assert [(each.epoch, each.images) for each in moments] == [(1, 0), (1, 10), (2, 0), (2, 10)]


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    log = LiveLog(tmp_path / "gone", PlainReporter())
    log.epoch_started(STAGES[0], 1, 10)
    assert read_live(tmp_path / "gone") == []


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=200)
    | st.from_regex(r"([0-9]{1,3},){5}[0-9na.-]{1,4}\n")
)
def test_damaged_rows_are_left_out(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("run")
    good = "1000.0,1,1,5,10,0.5\n"
    (folder / LIVE_FILE).write_text(f"{text}\n{good}", encoding="utf-8")
    moments = read_live(folder)
    assert moments[-1] == (1000.0, 1, 1, 5, 10, 0.5)
    view(Run(folder, dict(INFO, pid=0, host="elsewhere")))


@given(
    training=st.lists(st.tuples(st.floats(0, 10), st.floats(-1e6, 1e6)), max_size=40),
    validation=st.lists(st.tuples(st.floats(0, 10), st.floats(-1e6, 1e6)), max_size=5),
    width=st.integers(1, 200),
    height=st.integers(1, 60),
)
def test_any_losses_are_drawn(
    training: list[tuple[float, float]], validation: list[tuple[float, float]], width: int, height: int
) -> None:
    seen = View("run", "running", training, validation, [(0.0, "a"), (5.0, "b")], 10)
    if training or validation:
        drawn = chart(seen, width, height, plain=True)
        assert "\x1b" not in drawn
        assert len(drawn.splitlines()) <= max(height, LOWEST + AROUND)
    assert words(seen)[0] == "run: running"
