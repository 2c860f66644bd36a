"""Ctrl-C during a training."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import FAST, Cli

from visionkit.runs import Run
from visionkit.training.interruption import Interruption, Terminated


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where CI runs in the background
    yield
    signal.signal(signal.SIGINT, before)


def of(batch: int) -> Interruption:
    """The callback of a Learner that is at this of three training batches."""
    made = Interruption(lambda note: None)
    made.learn = SimpleNamespace(training=True, iter=batch, n_iter=3)
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_swallowed_interrupt_is_raised_again_after_the_batch(number: signal.Signals) -> None:
    with of(batch=0) as interruption:
        interruption.after_batch()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        interruption.agree()
        with pytest.raises(KeyboardInterrupt):
            interruption.after_batch()


def test_in_a_fit_the_batch_is_finished_and_a_second_signal_ends_at_once() -> None:
    with of(batch=2) as interruption:
        interruption.before_fit()
        signal.raise_signal(signal.SIGINT)
        interruption.agree()
        interruption.after_batch()  # the last of an epoch: what follows is saved as a whole
        with pytest.raises(KeyboardInterrupt):
            interruption.after_train()
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)


def test_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("event", ["after_batch", "after_train", "after_epoch"])
def test_a_signal_behind_saving_stops_at_the_next_place(
    event: str, cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = getattr(Interruption, event)
    sent = []

    def late(interruption: Interruption) -> None:
        if not sent:  # checkpoints of this event were saved, or were not
            sent.append(event)
            os.kill(os.getpid(), signal.SIGINT)
        usual(interruption)

    monkeypatch.setattr(Interruption, event, late)
    small = ["pets", "--data", pets, "--size", "32", *FAST[:-1], "3"]
    done = cli(*small, "--out", "run")
    assert done.exit_code == 130 and done.output.count("saved      at stage 1, epoch") == 1, done.output
    assert Run.read(Path("run")).status == "interrupted"
    done = cli("resume", "run")
    assert done.exit_code == 0 and "going on   at stage 1, epoch" in done.output, done.output


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_loader_processes_get_too(
    number: signal.Signals, cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a terminal or from torchrun, and before a batch that they still have to load."""
    usual = Interruption.after_batch

    def signalled(interruption: Interruption) -> None:
        usual(interruption)
        if interruption.iter == 0 and not interruption.wanted:
            loading = [process.pid for process in multiprocessing.active_children()]
            assert len(loading) == 1
            for pid in [*loading, os.getpid()]:
                assert pid is not None
                os.kill(pid, number)

    monkeypatch.setattr(Interruption, "after_batch", signalled)
    small = ["pets", "--data", pets, "--size", "32", *FAST, "--bs", "2", "--cache", "off", "--workers", "1"]
    done = cli(*small, "--out", "run")
    assert done.output.count("saved      at stage 1, epoch 1, batch 3") == 1, done.output
    assert done.exit_code == 128 + number and Run.read(Path("run")).status == "interrupted"
    assert not multiprocessing.active_children()
