"""Ctrl-C during a training."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from visionkit.training.interruption import Interruption


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where CI runs in the background
    yield
    signal.signal(signal.SIGINT, before)


def test_a_swallowed_interrupt_is_raised_again_after_the_batch() -> None:
    with Interruption() as interruption:
        interruption.after_batch()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interruption.after_batch()


def test_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
