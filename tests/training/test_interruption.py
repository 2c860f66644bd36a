"""Ctrl-C during a training."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

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
        with pytest.raises(KeyboardInterrupt):
            interruption.after_batch()


def test_in_a_fit_the_batch_is_finished_and_a_second_signal_ends_at_once() -> None:
    with of(batch=2) as interruption:
        interruption.before_fit()
        signal.raise_signal(signal.SIGINT)
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
