"""One measurement in a process of its own: threads, memory and caches of one do not disturb the next.

A program calls `apart(__file__, job, …)` in its main process, and begins with `answered(measure)`, which does
the job where the process is such a one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_FLAG = "--job"
_LAST = 2000
"""Characters of what a failed process printed that are told."""


def apart(program: str, job: Row, home: Path, device: str = "cpu") -> Row:
    """What the program's `measure(job)` gives, in a new process.

    Args:
        program: its file.
        job: what to measure; goes through JSON.
        home: the user's folder for that process, so that nothing kept there before plays a part.
        device: "cpu" hides GPUs.

    Raises:
        RuntimeError: it failed; with the last lines that it printed.
    """
    home.mkdir(parents=True, exist_ok=True)
    surroundings = {**os.environ, "HOME": str(home)}
    surroundings.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # visionkit sets it for itself: for all sides then
    if device == "cpu":
        surroundings["CUDA_VISIBLE_DEVICES"] = ""
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log.txt"
        command = [sys.executable, program, _FLAG, json.dumps(job), str(answer)]
        with log.open("w") as printed:
            done = subprocess.run(command, env=surroundings, stdout=printed, stderr=subprocess.STDOUT)
        if done.returncode or not answer.is_file():
            last = log.read_text(errors="replace")[-_LAST:]
            raise RuntimeError(f"{Path(program).name}, {job}: ended with {done.returncode}\n{last}")
        row: Row = json.loads(answer.read_text())
        return row


def answered(measure: Callable[[Row], Row]) -> bool:
    """Do the job on the command line where there is one; whether there was."""
    if sys.argv[1:2] != [_FLAG]:
        return False
    job, answer = sys.argv[2:4]
    Path(answer).write_text(json.dumps(measure(json.loads(job))))
    return True
