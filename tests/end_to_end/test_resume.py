"""`visionkit resume`: a training that was broken off comes out as if it never had been, to the last bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FAST, SIZES, Cli

from visionkit.checkpoints import form
from visionkit.runs import Run
from visionkit.training.outcome import compare_runs
from visionkit.training.recording import Recording

pytestmark = pytest.mark.usefixtures("unpainted")

ALL = [*FAST[:-2], "--epochs", 2]
TRAININGS = {
    "pets": ["--mixup", 0.4, "--cutmix", 1, "--ema", 0.9, "--then", 40],
    "pets, rate searched, weighted": ["--lr", "auto", "--weighted-sampling"],
    "pets, from files": ["--cache", "off", "--then", 40],
    "pets, two workers": ["--cache", "off", "--workers", 2],
    "planet": ["--then", 40, "--precision", "bf16", "--workers", 2],
    "camvid": ["--then", "", "--loss", "dice", "--workers", 1, "--bs", 2],
    "camvid, from files": ["--then", "", "--cache", "off", "--workers", 1, "--bs", 2],
}


class Stop:
    """Sends this process a signal at the end of batches with certain numbers, counted over all trainings.

    Args:
        at: their numbers; training and validation batches count.
        number: of the signal.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: set[int], number: int = signal.SIGINT) -> None:
        self.seen, self.trained, self.at = 0, 0, at
        after_batch = Recording.after_batch

        def counted(recording: Recording) -> None:
            after_batch(recording)
            if recording.stage is not None:
                self.seen += 1
                self.trained += recording.training
                if self.seen in self.at:
                    os.kill(os.getpid(), number)

        monkeypatch.setattr(Recording, "after_batch", counted)


@pytest.fixture
def trained(cli: Cli, request: pytest.FixtureRequest) -> Callable[..., object]:
    """Trains one of `TRAININGS`: `trained(name, out)`."""

    def train(name: str, out: str, *more: object) -> object:
        recipe = name.partition(",")[0]
        folder = request.getfixturevalue(recipe)
        return cli(
            recipe, "--data", folder, "--size", SIZES[recipe], *ALL, *TRAININGS[name], *more, "--out", out
        )

    return train


def assert_same(first: str, second: str) -> None:
    runs = [Run.read(Path(run)) for run in (first, second)]
    outcome = compare_runs(*runs)
    assert outcome.identical, (outcome.figures, outcome.epochs)
    assert outcome.same_weights and outcome.compared
    for file in ("split.csv", "batches.csv", "model/model.safetensors"):
        assert Path(first, file).read_bytes() == Path(second, file).read_bytes(), file
    names = [{file.relative_to(run.path).as_posix() for file in run.path.rglob("*")} for run in runs]
    assert names[0] == names[1] and not any("checkpoint/" in name or ".part" in name for name in names[0])


SLOW = (
    "planet",
    "pets, two workers",
    "pets, from files",
    "pets, rate searched, weighted",
    "camvid",
    "camvid, from files",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in TRAININGS]
)
def test_the_same_to_the_last_bit(
    name: str, cli: Cli, trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        counted = Stop(patched, set())
        result = trained(name, "whole")
    assert result.exit_code == 0, result.output
    whole = counted.seen
    batches = len(Run.read(Path("whole")).batches)
    assert whole > batches > 5
    # in an epoch, in a validation, and one after the other until the end
    stops = {2, whole // 3, whole // 3 + 1, whole // 2, whole - 4, whole - 2, whole + 20}
    if name == "camvid":  # whose networks take long to make
        stops = {whole // 3, whole // 2, whole - 2}
    stop = Stop(monkeypatch, stops)
    result = trained(name, "broken")
    tries = 0
    while result.exit_code != 0:
        assert result.exit_code == 130, result.output
        assert json.loads(Path("broken/run.json").read_text())["status"] == "interrupted"
        assert "visionkit resume broken" in result.output and "saved      at stage" in result.output
        result = cli("resume", "broken")
        tries += 1
        assert "going on" in result.output, result.output
    assert tries >= 3
    assert len(json.loads(Path("broken/run.json").read_text())["resumed"]) == tries
    assert stop.trained == batches  # none was trained on twice
    assert_same("whole", "broken")


def test_asked_at_the_end_of_a_stage(
    cli: Cli, trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last validation, when nothing of the fit is left but to leave it."""
    after_epoch = Recording.after_epoch

    def asked(recording: Recording) -> None:
        after_epoch(recording)
        if recording.stage is not None and recording.epoch + 1 == recording.n_epoch:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Recording, "after_epoch", asked)
        result = trained("pets, from files", "broken")
        assert result.exit_code == 130 and "saved      at stage 2, epoch 1" in result.output, result.output
        result = cli("resume", "broken")
        assert result.exit_code == 130 and "saved      at stage 3" in result.output, result.output
    result = cli("resume", "broken")
    assert result.exit_code == 0 and "after the last of 2 stages" in result.output, result.output
    trained("pets, from files", "whole")
    assert_same("whole", "broken")


def test_a_full_disk_does_not_end_a_training(
    cli: Cli, trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints that cannot be written are told of; those before, and the training, go on."""
    write, written = form.save, []

    def full_later(*args: object) -> bytes:
        written.append(args)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args)

    monkeypatch.setattr(form, "save", full_later)
    result = trained("pets, from files", "full", "--checkpoint-minutes", 0.0001)
    assert result.exit_code == 0, result.output
    assert len(written) > 4
    assert "checkpoint not saved at stage 1" in result.output and "No space left on device" in result.output
    assert Run.read(Path("full")).status == "done"


def test_a_run_that_is_done_is_left_alone(cli: Cli, trained: Callable[..., object]) -> None:
    trained("pets, from files", "done", "--then", "")
    before = {file: file.read_bytes() for file in Path("done").rglob("*") if file.is_file()}
    result = cli("resume", "done")
    assert result.exit_code == 0 and "the run is done" in result.output
    assert before == {file: file.read_bytes() for file in Path("done").rglob("*") if file.is_file()}


@pytest.fixture
def broken(cli: Cli, trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped in its second epoch."""
    with monkeypatch.context() as patched:
        Stop(patched, {9})
        result = trained("pets, from files", "broken", "--then", "", "--checkpoint-minutes", 0.0001)
    assert result.exit_code == 130, result.output
    return Path("broken").resolve()


def test_sigterm_saves_first_too(
    cli: Cli, trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    Stop(monkeypatch, {3}, signal.SIGTERM)
    result = trained("pets, from files", "broken")
    assert result.exit_code == 143, result.output
    assert "saved      at stage 1" in result.output
    assert len(list(Path("broken/checkpoint").glob("*.safetensors"))) == 1


def test_a_damaged_checkpoint_falls_back(cli: Cli, broken: Path, trained: Callable[..., object]) -> None:
    files = sorted((broken / "checkpoint").glob("*.safetensors"))
    assert len(files) == 2
    content = bytearray(files[1].read_bytes())
    content[len(content) // 2] ^= 1
    files[1].write_bytes(content)
    result = cli("resume", broken)
    assert result.exit_code == 0, result.output
    assert files[1].name in result.output and "damaged" in result.output and "passed over" in result.output
    trained("pets, from files", "whole", "--then", "")
    assert_same("whole", str(broken))


def test_without_any_checkpoint_it_begins_again(
    cli: Cli, broken: Path, trained: Callable[..., object]
) -> None:
    shutil.rmtree(broken / "checkpoint")
    result = cli("resume", broken)
    assert result.exit_code == 0, result.output
    assert "from the beginning" in result.output
    trained("pets, from files", "whole", "--then", "")
    assert_same("whole", str(broken))


def test_other_data_are_noticed(cli: Cli, broken: Path, pets: Path) -> None:
    shutil.copy(pets / "images" / "Sphynx_1.jpg", pets / "images" / "Sphynx_99.jpg")
    before = {file: file.read_bytes() for file in broken.rglob("*") if file.is_file()}
    result = cli("resume", broken)
    assert result.exit_code == 1 and "data" in result.output and "--force" in result.output
    assert "Traceback" not in result.output
    assert before == {file: file.read_bytes() for file in broken.rglob("*") if file.is_file()}
    assert cli("resume", broken, "--force").exit_code == 0


def test_another_version_is_noticed(cli: Cli, broken: Path) -> None:
    info = json.loads((broken / "run.json").read_text())
    info["versions"]["torch"] = "1.0.0"
    (broken / "run.json").write_text(json.dumps(info))
    result = cli("resume", broken)
    assert result.exit_code == 1 and "torch" in result.output and "1.0.0" in result.output
    assert cli("resume", broken, "--force").exit_code == 0


def test_a_run_under_way_is_left_alone(cli: Cli, broken: Path) -> None:
    from visionkit.runs import only_one

    with only_one(broken):
        result = cli("resume", broken)
    assert result.exit_code == 1 and "another process trains this run" in result.output


def test_a_checkpoint_of_another_network(cli: Cli, broken: Path) -> None:
    info = json.loads((broken / "run.json").read_text())
    info["settings"]["arch"] = "resnet18"
    (broken / "run.json").write_text(json.dumps(info))
    result = cli("resume", broken)
    assert result.exit_code == 1 and "does not go with the network" in result.output
    assert "Traceback" not in result.output
