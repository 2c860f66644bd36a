"""The same trainings twice: written with fastai alone as its course does, and through visionkit.

    python benchmarks/stock_fastai.py --data ../shared/data --seeds 0 1 2 --tasks camvid planet pets

Split, sizes, epochs, peak rates, batch size, body, starting weights and seed are the same on both sides, and
one piece of code computes the figures from the validation predictions of both. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides; read when torch is loaded

import fastai.vision.all as fv
import numpy as np
import record
import stock
from stock import Plan, weights_file

Row = dict[str, Any]

SIDES = ("stock", "visionkit")
THRESHOLD = 0.2
PLANS = {
    "camvid": Plan("squeezenet1_0", 0.004, 10.0, 8, sizes=(40,), freeze_epochs=(1,), epochs=(4,)),
    "planet": Plan("squeezenet1_0", 0.005, 100.0, 16, sizes=(64, 96), freeze_epochs=(4, 2), epochs=(3, 2)),
    "pets": Plan("squeezenet1_0", 0.003, 100.0, 16, sizes=(96,), freeze_epochs=(6,), epochs=(4,)),
}
METRICS = {
    "camvid": ("pixel_accuracy", "mean_iou"),
    "planet": ("f2", "accuracy_multi"),
    "pets": ("error_rate",),
}


# ---- visionkit -------------------------------------------------------------------------------------------


def train_visionkit(task: str, data: Path, seed: int, precision: str, out: Path) -> tuple[fv.Learner, float]:
    """`recipe.train` with the same numbers: the finished run's Learner, and the seconds of its epochs."""
    from visionkit.training.restore import restore

    plan = PLANS[task]
    options = plan.options(task, weights_file(data, plan))
    options |= {"seed": seed, "precision": precision, "device": "cpu"}
    if task == "planet":
        options["threshold"] = THRESHOLD
    recipe = import_module(f"visionkit.recipes.{task}").recipe
    run = recipe.train(data / task, out=out, **options)
    learn, _ = restore(run, "cpu")
    return learn, sum(float(row["seconds"]) for row in run.history)


# ---- the same measure for both ---------------------------------------------------------------------------


def predictions(learn: fv.Learner) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and targets of the validation images."""
    with learn.no_bar(), learn.no_logging():
        probabilities, targets = learn.get_preds(ds_idx=1)
    return np.asarray(probabilities.float()), np.asarray(targets)


def figures(task: str, probabilities: np.ndarray, targets: np.ndarray, data: Path) -> dict[str, float]:
    """The task's metrics, as fractions."""
    if task == "pets":
        return {"error_rate": float((probabilities.argmax(1) != targets).mean())}
    if task == "planet":
        tagged, truth = probabilities > THRESHOLD, targets > 0.5
        hits = (tagged & truth).sum(1)  # every chip has a tag: the denominator is never 0
        f2 = 5 * hits / (4 * truth.sum(1) + tagged.sum(1))
        return {"f2": float(f2.mean()), "accuracy_multi": float((tagged == truth).mean())}
    codes = (data / "camvid" / "codes.txt").read_text().split()
    return mask_figures(probabilities.argmax(1), targets, len(codes), codes.index("Void"))


def mask_figures(predicted: np.ndarray, targets: np.ndarray, count: int, void: int) -> dict[str, float]:
    """Pixel accuracy, and IoU averaged over the codes that occur, both over the pixels that are not Void."""
    counted = targets != void
    pairs = targets[counted].astype(int) * count + predicted[counted]
    confusion = np.bincount(pairs, minlength=count * count).reshape(count, count)
    hits = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    codes = [code for code in range(count) if code != void and union[code]]
    iou = hits[codes] / union[codes]
    return {"pixel_accuracy": float(hits.sum() / confusion.sum()), "mean_iou": float(iou.mean())}


def measure(task: str, data: Path, seed: int, order: tuple[str, ...], precision: str) -> list[Row]:
    """Train both ways in this order. Raises RuntimeError where they validated on different targets."""
    rows: list[Row] = []
    seen: list[np.ndarray] = []
    for place, side in enumerate(order):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            if side == "stock":
                plan = PLANS[task]
                weights = weights_file(data, plan)
                learn, seconds = stock.train(task, data / task, plan, weights, seed)
            else:
                learn, seconds = train_visionkit(task, data, seed, precision, Path(folder) / "run")
            total = time.perf_counter() - started
            probabilities, targets = predictions(learn)
        seen.append(targets)
        values = figures(task, probabilities, targets, data)
        spent = {"fit_seconds": round(seconds, 1), "total_seconds": round(total, 1)}
        rows.append({"task": task, "seed": seed, "side": side, "place": place + 1, **values, **spent})
        shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        print(f"RESULT {task:7s} seed {seed}  {side:9s}  {shown}  {seconds:.1f} s", flush=True)
    if not np.array_equal(seen[0], seen[1]):
        raise RuntimeError(f"{task}, seed {seed}: the two sides did not validate on the same images.")
    return rows


def column(rows: list[Row], task: str, side: str, name: str) -> list[float]:
    """One figure of all seeds."""
    return [row[name] for row in rows if row["task"] == task and row["side"] == side]


def summary(rows: list[Row], task: str, name: str) -> Row:
    """Mean and standard deviation over the seeds on both sides, and what they say of visionkit."""
    values = {side: column(rows, task, side, name) for side in SIDES}
    means = {side: mean(values[side]) for side in SIDES}
    spread = {side: stdev(values[side]) if len(values[side]) > 1 else 0.0 for side in SIDES}
    gain = (means["visionkit"] - means["stock"]) * (-1 if name == "error_rate" else 1)
    verdict = "better" if gain > 0 else "equal" if gain == 0 else "worse"
    if gain and abs(gain) <= max(spread.values()):
        verdict += ", within the spread"
    return {"task": task, "metric": name, "mean": means, "sd": spread, "gain": gain, "verdict": verdict}


def main() -> None:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Stock fastai and visionkit, side by side.")
    parser.add_argument("--data", type=Path, required=True, help="folder of camvid, planet, pets and weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=list(PLANS), default=list(PLANS))
    parser.add_argument("--precision", default="auto", help="of visionkit; the stock side trains in fp32")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    rows: list[Row] = []
    for task in args.tasks:
        for index, seed in enumerate(args.seeds):
            rows += measure(task, args.data, seed, SIDES if index % 2 == 0 else SIDES[::-1], args.precision)
            if args.out:
                write(args.out, rows, args.precision)
    for task in args.tasks:
        for result in (summary(rows, task, name) for name in METRICS[task]):
            both = [f"{side} {result['mean'][side]:.4f} ± {result['sd'][side]:.4f}" for side in SIDES]
            print(f"{task:7s} {result['metric']:15s} {'  '.join(both)}  visionkit is {result['verdict']}")
        stock, ours = (sum(column(rows, task, side, "fit_seconds")) for side in SIDES)
        print(f"{task:7s} seconds of training and validation, visionkit / stock: {ours / stock:.2f}")


def write(path: Path, rows: list[Row], precision: str) -> None:
    """The results so far, with the versions that gave them."""
    done = dict.fromkeys(row["task"] for row in rows)
    summaries = [summary(rows, task, name) for task in done for name in METRICS[task]]
    plans = {task: asdict(PLANS[task]) for task in done}
    content = {"about": record.about(), "precision": precision, "plans": plans, "rows": rows}
    record.write(path, {**content, "summary": summaries})


if __name__ == "__main__":
    main()
