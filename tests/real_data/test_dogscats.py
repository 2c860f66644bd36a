"""Real cats and dogs, tiny: that a pretrained body tells them apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import REAL_DATA, Cli
from PIL import Image

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real images are not there ({REAL_DATA})"),
]


def test_pretrained_body(cli: Cli) -> None:
    """Guessing is right for half of the photos."""
    weights = ["--arch", "squeezenet1_0", "--weights", REAL_DATA / "weights" / "squeezenet1_0.pth"]
    stages = ["--size", 64, "--freeze-epochs", 3, "--epochs", 0, "--bs", 16, "--workers", 0]
    data = ["--data", REAL_DATA / "dogscats", "--subset", 200]
    result = cli("dogscats", *data, *weights, *stages, "--out", "run")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["data"]["classes"] == {"cat": 100, "dog": 100}
    assert info["metrics"]["accuracy"] > 0.7
    with Image.open("run/plots/balance.png") as plot:
        assert plot.width > 300
    assert not Path("run/plots/test.png").exists(), "no test photos in this set"
