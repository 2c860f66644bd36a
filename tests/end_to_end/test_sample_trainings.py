"""The samples' trainings in full: what the README promises of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROMISED = {
    "pets": ("accuracy", 0.90),
    "planet": ("f2", 0.90),
    "camvid": ("pixel_accuracy", 0.85),
    "dogscats": ("accuracy", 0.90),
    "openimages": ("accuracy", 0.80),
    "fashionai": ("accuracy", 0.75),
    "folder": ("accuracy", 0.90),
    "csv": ("f2", 0.85),
    "masks": ("pixel_accuracy", 0.82),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", PROMISED)
def test_sample_reaches_what_is_promised(recipe: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "visionkit", recipe, "--sample", "--out", "run"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC" in done.stdout
    assert "synthetic validation images" in done.stdout
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    metric, least = PROMISED[recipe]
    assert info["synthetic"] is True
    assert info["metrics"][metric] >= least
