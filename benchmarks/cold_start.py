"""How long one prediction takes from a cold start, beside `python -c 'import torch'` in the same run.

    python benchmarks/cold_start.py RUN IMAGE --out benchmarks/results/cold_start.json

The two take turns, each in a process of its own; medians are compared. Both are read once before, so that the
files are in the system's cache. Exits with 1 where a prediction takes 3 seconds or more than the import, or
imports what it should not. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

BOUND_SECONDS = 3.0
SLOW = ("fastai", "pandas", "matplotlib", "sklearn", "scipy", "torch._dynamo")


def seconds(command: list[str]) -> tuple[float, float]:
    """How long a command takes: by the clock, and of the processors. Raises where it fails."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    took, after = time.perf_counter() - started, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return round(took, 3), round(used, 3)


def slow_imports(prediction: list[str]) -> list[str]:
    """What the prediction imports of the packages that it should not."""
    command = [prediction[0], "-X", "importtime", *prediction[1:]]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    return [name for name in SLOW if name in imported]


def main() -> int:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Time one prediction from a cold start.")
    parser.add_argument("run", help="a run, or a folder with model.json")
    parser.add_argument("image")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "predict": [sys.executable, "-m", "visionkit", "predict", args.run, args.image, "--device", "cpu"],
    }
    rows: list[dict[str, Any]] = []
    for repeat in range(args.repeats + 1):
        for name, command in commands.items():
            took, used = seconds(command)
            if repeat:  # the first turn warms the system's cache
                rows.append({"what": name, "seconds": took, "processor_seconds": used})
                print(f"RESULT {name:14s} {took:7.2f} s, {used:.2f} s of the processors", flush=True)

    torch, predict = (median(row["seconds"] for row in rows if row["what"] == name) for name in commands)
    slow = slow_imports(commands["predict"])
    summary = {
        "import_torch_seconds": torch,
        "predict_seconds": predict,
        "difference_seconds": round(predict - torch, 3),
        "ratio": round(predict / torch, 2),
        "slow_imports": slow,
        "below_bound": predict < BOUND_SECONDS,
        "difference_below_bound": predict - torch < BOUND_SECONDS,
    }
    print(
        f"\nimport torch {torch:.2f} s, one prediction {predict:.2f} s: {predict - torch:.2f} s more, "
        f"{predict / torch:.2f} times. Imports that should not be: {', '.join(slow) or 'none'}."
    )
    if args.out:
        about: dict[str, Any] = {"date": str(date.today()), "cpus": os.cpu_count()}
        about |= {"python": platform.python_version(), "load_average": round(os.getloadavg()[0], 1)}
        about |= {name: version(name) for name in ("visionkit", "torch", "torchvision")}
        content = {"about": about, "bound_seconds": BOUND_SECONDS, "rows": rows, "summary": summary}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(content, indent=2) + "\n")
    return 0 if summary["difference_below_bound"] and not slow else 1


if __name__ == "__main__":
    sys.exit(main())
