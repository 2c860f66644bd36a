"""Trainings that are killed with SIGKILL at random moments; benchmarks/kills.py has the long version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "kills.py"
SEED = os.environ.get("VISIONKIT_SEED", "2")  # whose first training is killed three times


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--kills", "2", "--cases", "0"], ["--kills", "8"]])
def test_every_kill_is_resumed_and_nothing_is_lost(options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, PROGRAM, *options, "--seed", SEED, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert sum(row["kills"] for row in rows) >= int(options[1])
    assert not [fault for row in rows for fault in row["faults"]]
