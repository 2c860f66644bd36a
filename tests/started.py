"""Programs that tests of several processes start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIMIT = 300
QUIET = ["--no-html", "--precision", "fp32", "--device", "cpu", "--no-pretrained", "--freeze-epochs", "0"]
SMALL = [*QUIET, "--arch", "squeezenet1_1", "--size", "32"]
CLI = [sys.executable, "-m", "visionkit"]


def environment() -> dict[str, str]:
    """One thread a process, and nothing of what torchrun sets."""
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def torchrun(count: int) -> list[str]:
    """The words that start a program in `count` processes."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]


def call(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder` to its end."""
    return subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=LIMIT, check=False
    )
