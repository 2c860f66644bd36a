"""Child processes that run cases, with limits of time and memory of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def python(*arguments: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the tests' modules; the two outputs are kept apart."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def run_cases(kind: str, first: int, count: int) -> str:
    """Run cases in a child; its last line. Fails with its output where a case broke, or the child died."""
    child = python("-m", "hostile.program", kind, str(first), str(count))
    lines = child.stdout.splitlines()
    broken = [line for line in lines if not line.startswith("begun")]
    assert child.returncode == 0, "\n".join([*lines[-1:], *broken[:60], child.stderr[-2000:]])
    return lines[-1]


def ask(code: str, *arguments: str, timeout: float = 120) -> str:
    """What `code` prints in a child that may take 2 GB more than its imports did, and 10 s of its own time.

    `code` is a function's body whose `path` is the first argument.
    """
    program = (
        "import sys\nfrom pathlib import Path\nfrom hostile.openers import *\n"
        "from hostile.watch import limit_memory\n"
        "from resource import setrlimit, RLIMIT_CPU, getrusage, RUSAGE_SELF\nimport time\n"
        "limit_memory()\nused = int(time.process_time())\nsetrlimit(RLIMIT_CPU, (used + 11, used + 11))\n"
        f"path = Path(sys.argv[1])\n{code}\n"
    )
    child = python("-c", program, *arguments, timeout=timeout)
    assert child.returncode == 0, child.stderr[-2000:] or f"ended by signal {-child.returncode}"
    return child.stdout
