"""What is said and written of an epoch."""

from __future__ import annotations

import pytest

from visionkit.training.progress import EpochResult
from visionkit.training.stages import Stage


@pytest.mark.parametrize(
    ("wait", "end"),
    [(0.0, "95 images/s"), (0.4, "95 images/s"), (3.2, "95 images/s, 3 % waiting for data")],
)
def test_the_wait_is_said_where_there_is_one(wait: float, end: str) -> None:
    stage = Stage(1, 128, True, 10, 0.1, 1)
    result = EpochResult(stage, 2, 0.1, 0.5, 0.4, {"f2": 0.9}, 12.0, images_per_s=95.2, wait_percent=wait)
    assert result.line() == (
        "128 px frozen   epoch  2/10  train_loss 0.5000  valid_loss 0.4000  f2 0.9000  12.0 s  " + end
    )
