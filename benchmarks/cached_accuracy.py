"""Whether trainings from the cache end where those without it end: the same, several seeds each.

    python benchmarks/cached_accuracy.py --data ../shared/data --seeds 0 1 2 \
        --rows benchmarks/results/cached_accuracy.jsonl --out benchmarks/results/cached_accuracy.json

All but `--cache` is the same. Finished trainings are rows of `--rows`; those that are there already are not
done again, so a program that was stopped goes on. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import record

Row = dict[str, Any]

SIDES = ("auto", "off")
COMMON: Row = {"arch": "squeezenet1_0", "device": "cpu", "then": ()}  # camvid would go on at 720 px
PLANS: dict[str, Row] = {
    "planet": {"size": 64, "freeze_epochs": (4,), "epochs": (4,), "lr": 0.005, "bs": 16},
    "pets": {"size": 96, "freeze_epochs": (6,), "epochs": (4,), "lr": 0.003, "bs": 16},
    "dogscats": {"size": 96, "freeze_epochs": (3,), "epochs": (2,), "lr": 0.003, "bs": 16},
    "camvid": {"size": 40, "freeze_epochs": (1,), "epochs": (3,), "lr": 0.004, "bs": 8},
}
METRICS = {
    "planet": ("f2", "accuracy_multi"),
    "pets": ("error_rate",),
    "dogscats": ("error_rate",),
    "camvid": ("pixel_accuracy", "mean_iou"),
}


def train(task: str, data: Path, seed: int, cache: str, store_folder: Path, options: Row) -> Row:
    """One training; its figures and seconds.

    Raises:
        RuntimeError: it was to use the cache and did not, or the other way about.
    """
    from visionkit.cache.listing import entries
    from visionkit.registry import get_recipe
    from visionkit.sources.base import Store
    from visionkit.training.train import train as train_recipe

    recipe = get_recipe(task)
    store = Store(store_folder)
    settings = recipe.resolved(**options, seed=seed, cache=cache, weights=weights_file(data))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train_recipe(recipe, settings, data=data / task, out=Path(folder) / "run", store=store)
        seconds = time.perf_counter() - started
    if bool(entries(store.cache_folder)) != (cache == "auto"):
        raise RuntimeError(f"{task}, cache {cache}: the cache holds {len(entries(store.cache_folder))} sets")
    return {"seconds": round(seconds, 1), **{name: run.metrics[name] for name in METRICS[task]}}


def weights_file(data: Path) -> Path:
    """The body's weights."""
    return data / "weights" / f"{COMMON['arch']}.pth"


def summary(task: str, name: str, rows: list[Row]) -> Row:
    """Means and standard deviations of a figure, and whether the means are within one of them.

    The deviation is the root of the mean of both variances.
    """
    values = {side: [row[name] for row in rows if row["cache"] == side] for side in SIDES}
    means = {side: mean(values[side]) for side in SIDES}
    spread = {side: stdev(values[side]) if len(values[side]) > 1 else 0.0 for side in SIDES}
    difference = means["auto"] - means["off"]
    deviation = math.sqrt(mean(each**2 for each in spread.values()))
    within = abs(difference) <= deviation
    told = {"mean": means, "sd": spread, "difference": difference, "deviation": deviation, "within": within}
    return {"task": task, "metric": name, "seeds": {side: len(values[side]) for side in SIDES}, **told}


def main() -> int:
    """Parse, train what is missing, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Accuracy with the cache and without it.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets and of weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=list(PLANS), default=list(PLANS))
    parser.add_argument("--epochs", type=int, help="of each stage, instead of the plan's")
    parser.add_argument("--rows", type=Path, required=True, help="JSONL file that finished trainings go to")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    rows = [json.loads(line) for line in _lines(args.rows)]
    args.rows.parent.mkdir(parents=True, exist_ok=True)
    results: list[Row] = []
    used: list[Row] = []
    code = record.code()
    for task in args.tasks:
        options = {**COMMON, **PLANS[task]}
        if args.epochs:
            options |= {"freeze_epochs": (args.epochs,), "epochs": (args.epochs,)}
        options = json.loads(json.dumps(options))  # as it is read back
        wanted = [(seed, side) for seed in args.seeds for side in SIDES[:: -1 if seed % 2 else 1]]
        for seed, side in wanted:
            key = {"task": task, "seed": seed, "cache": side, "options": options}
            if any(row.items() >= key.items() for row in rows):
                continue
            with tempfile.TemporaryDirectory() as folder:
                answer = train(task, args.data, seed, side, Path(folder), options)
            rows.append({**key, **answer, "code": code})
            with args.rows.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            shown = "  ".join(f"{name} {rows[-1][name]:.4f}" for name in METRICS[task])
            print(
                f"RESULT {task:8s} seed {seed}  cache {side:4s}  {shown}  {rows[-1]['seconds']} s", flush=True
            )
        counted = [
            row
            for row in rows
            if (row["task"], row["options"]) == (task, options) and row["seed"] in args.seeds
        ]
        used += counted
        results += [summary(task, name, counted) for name in METRICS[task]]
    for result in results:
        both = [f"{side} {result['mean'][side]:.4f} ± {result['sd'][side]:.4f}" for side in SIDES]
        verdict = "within" if result["within"] else "NOT within"
        print(
            f"{result['task']:8s} {result['metric']:15s} cache {', '.join(both)}: difference "
            f"{result['difference']:+.4f}, {verdict} one standard deviation ({result['deviation']:.4f})"
        )
    if len({row.get("code") for row in used}) > 1:
        print("These rows come from different states of visionkit's source; begin a new --rows to be sure.")
    record.write(args.out, {"about": record.about(), "rows": used, "summary": results})
    return 0 if all(result["within"] for result in results) else 1


def _lines(path: Path) -> list[str]:
    """The whole lines of a file; a last one that was cut off is left out, and removed."""
    if not path.is_file():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return whole.splitlines()


if __name__ == "__main__":
    sys.exit(main())
