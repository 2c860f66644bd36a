"""How long whole trainings take: visionkit, making its cache included, and stock fastai.

    python benchmarks/training_speed.py --data ../shared/data --seeds 0 1 2 \
        --out benchmarks/results/training_speed.json

Each training is a process of its own with an empty home folder, so visionkit begins without a cache. Split,
sizes, epochs, rates, batch size, body and starting weights are the same on both sides, and one piece of code
computes the figures of both. Which side goes first alternates. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import record
from apart import Row, answered, apart
from gpu_use import gpu_use
from process_memory import process_memory

STOCK, OURS = "stock", "visionkit"
METRICS = {
    "camvid": ("pixel_accuracy", "mean_iou"),
    "planet": ("f2", "accuracy_multi"),
    "pets": ("error_rate",),
}
TASKS = tuple(METRICS)
WORKERS: tuple[int | None, ...] = (None, 0, 1)
"""Of stock fastai, tried before; None is its own number."""


def plans(device: str) -> dict[str, Any]:
    """What is trained: small networks on a CPU, the recipes' own on a GPU."""
    from stock import Plan

    if device == "cpu":
        return {
            "planet": Plan("squeezenet1_0", 0.005, 100.0, 32, (128, 256), (5, 2), (5, 2)),
            "pets": Plan("resnet18", 0.003, 1.0, 32, (224,), (0,), (10,), pretrained=False, presize=460),
            "camvid": Plan("squeezenet1_0", 0.004, 10.0, 8, (180,), (1,), (2,)),
        }
    return {
        "planet": Plan("resnet50", 0.003, 1.0, 64, (128, 256), (0, 0), (10, 5), pretrained=False),
        "pets": Plan("resnet50", 0.003, 1.0, 64, (224,), (0,), (10,), pretrained=False, presize=460),
        "camvid": Plan("resnet34", 0.003, 1.0, 8, (360,), (0,), (10,), pretrained=False),
    }


# ---- in a process of its own -----------------------------------------------------------------------------


def measure(job: Row) -> Row:
    """Train one side; seconds, figures and waiting."""
    import stock
    from stock_fastai import figures, predictions

    plan = stock.Plan(**{name: _tuple(value) for name, value in job["plan"].items()})
    data = Path(job["data"])
    weights = stock.weights_file(data, plan)
    folder = Path(job["folder"])
    with gpu_use(job["device"]) as busy:
        started = time.perf_counter()
        learn, spent = (_stock if job["side"] == STOCK else _ours)(job, plan, folder, weights)
        seconds = time.perf_counter() - started
    if job["side"] == OURS:
        learn = _restored(spent.pop("run"), job["device"])
    probabilities, targets = predictions(learn)
    values = figures(job["task"], probabilities, targets, data)
    seen = hashlib.sha256(targets.astype("float32").tobytes()).hexdigest()[:12]
    return {"seconds": round(seconds, 2), **spent, **values, **busy, "targets": seen}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _stock(job: Row, plan: Any, folder: Path, weights: Path | None) -> tuple[Any, Row]:
    import stock

    from visionkit.training.waiting import Waiting

    class Epochs(Waiting):
        """Seconds, waiting and memory of each epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.rows: list[Row] = []
            self.began = 0.0

        def before_epoch(self) -> None:
            super().before_epoch()
            self.began = time.perf_counter()

        def after_batch(self) -> None:
            self.batch_ended()

        def after_train(self) -> None:
            self.trained = time.perf_counter() - self.began

        def after_epoch(self) -> None:
            took = time.perf_counter() - self.began
            self.rows.append(_epoch(took, self.trained, self.seconds))

    epochs = Epochs()
    options = {"workers": job["workers"], "callbacks": [epochs], "fp16": job["stock_precision"] == "fp16"}
    learn, _ = stock.train(job["task"], folder, plan, weights, job["seed"], **options)
    learn.remove_cb(epochs)
    return learn, _of_epochs(epochs.rows)


def _ours(job: Row, plan: Any, folder: Path, weights: Path | None) -> tuple[Any, Row]:
    from visionkit.registry import get_recipe
    from visionkit.training.progress import EpochResult, PlainReporter
    from visionkit.training.train import train

    class Epochs(PlainReporter):
        """Seconds, waiting and memory of each epoch; and when the first began."""

        def __init__(self) -> None:
            super().__init__()
            self.rows: list[Row] = []
            self.created, self.began = time.perf_counter(), 0.0

        def epoch_started(self, stage: Any, epoch: int, images: int) -> None:
            self.images = images
            self.began = self.began or time.perf_counter()

        def epoch_done(self, result: EpochResult) -> None:
            super().epoch_done(result)
            trained = self.images / result.images_per_s
            self.rows.append(_epoch(result.seconds, trained, result.wait_percent / 100 * trained))

    recipe = get_recipe(job["task"])
    options = plan.options(job["task"], weights)
    options |= {"seed": job["seed"], "device": job["device"], "precision": job["precision"]}
    if job["task"] == "planet":
        options["threshold"] = 0.2
    epochs = Epochs()
    options["html"] = False  # the stock side has none
    run = train(recipe, recipe.resolved(**options), data=folder, out=Path.home() / "run", reporter=epochs)
    cached = sum(file.stat().st_size for file in (Path.home() / ".visionkit" / "cache").glob("*/*"))
    if not cached:
        raise RuntimeError("the training did not use the cache: see above")
    spent = {"before_epochs": round(epochs.began - epochs.created, 2), "cache_mb": round(cached / 1e6)}
    return None, {**_of_epochs(epochs.rows), **spent, "precision": run.info["precision"], "run": run}


def _epoch(seconds: float, trained: float, waited: float) -> Row:
    return {"seconds": seconds, "training": trained, "waiting": waited, **process_memory()}


def _of_epochs(rows: list[Row]) -> Row:
    """The seconds of all epochs, and what part of their training was waiting, from the second on."""
    later = rows[1:] or rows
    waited = 100 * sum(row["waiting"] for row in later) / sum(row["training"] for row in later)
    rounded = [{name: round(value, 3) for name, value in row.items()} for row in rows]
    seconds = round(sum(row["seconds"] for row in rows), 2)
    return {"epoch_seconds": seconds, "wait_percent": round(waited, 2), "epochs": rounded}


def _restored(run: Any, device: str) -> Any:
    from visionkit.training.restore import restore

    return restore(run, device)[0]


# ---- all of them -----------------------------------------------------------------------------------------


def main() -> int:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Whole trainings of visionkit and stock fastai.")
    parser.add_argument("--data", type=Path, required=True, help="folder of camvid, planet, pets and weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--images", type=int, help="repeat each data set to so many, by links")
    parser.add_argument("--epochs", type=int, help="of every stage, instead of the plan's")
    parser.add_argument("--arch", help="instead of the plan's; from scratch where weights/ lacks it")
    parser.add_argument("--sizes", type=int, nargs="+", help="instead of the plan's")
    parser.add_argument("--bs", type=int, help="instead of the plan's")
    workers_help = "of stock fastai: to try instead of 0 and 1; one is taken untried"
    parser.add_argument("--workers", type=int, nargs="+", help=workers_help)
    parser.add_argument("--precision", default="auto", help="of visionkit")
    parser.add_argument("--stock-precision", choices=("fp32", "fp16"), default="fp32", help="fp16 on a GPU")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    rows: list[Row] = []
    tried: list[Row] = []
    summaries: list[Row] = []
    chosen = {task: _changed(plans(args.device)[task], args) for task in args.tasks}

    def keep() -> None:
        content = {"about": record.about(args.device), "settings": record.settings(args)}
        content |= {"plans": {task: asdict(plan) for task, plan in chosen.items()}, "tried": tried}
        record.write(args.out, {**content, "rows": rows, "summary": summaries})

    for task, plan in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            place = _data(task, args, Path(folder))
            workers = _best_workers(task, plan, args, place, tried)
            for number, seed in enumerate(args.seeds):
                for side in (STOCK, OURS) if number % 2 == 0 else (OURS, STOCK):
                    rows.append(_train(task, plan, args, place, side, seed, workers))
                    keep()
        seen = {(row["seed"], row["targets"]) for row in rows if row["task"] == task}
        if len(seen) != len(args.seeds):
            raise RuntimeError(f"{task}: the two sides did not validate on the same images.")
        summaries.append(summary(task, [row for row in rows if row["task"] == task]))
        print_summary(summaries[-1])
        keep()
    return 0


def _changed(plan: Any, args: argparse.Namespace) -> Any:
    """The plan with what the command line says otherwise."""
    if args.arch:
        plan = replace(
            plan, arch=args.arch, pretrained=(args.data / "weights" / f"{args.arch}.pth").is_file()
        )
    if args.sizes:
        stages = len(args.sizes)
        plan = replace(plan, sizes=tuple(args.sizes), freeze_epochs=plan.freeze_epochs[:1] * stages)
        plan = replace(plan, epochs=plan.epochs[:1] * stages)
    if args.epochs is not None:
        every = (args.epochs,) * len(plan.sizes)
        plan = replace(plan, freeze_epochs=every if plan.pretrained else (0,) * len(every), epochs=every)
    return replace(plan, bs=args.bs) if args.bs else plan


def _data(task: str, args: argparse.Namespace, folder: Path) -> Path:
    """The data set, which was read once, so that it is in the system's cache."""
    from repeated import repeat

    place: Path = args.data / task
    if args.images:
        place = folder / task
        repeat(task, args.data / task, place, args.images)
    for file in place.rglob("*.*"):
        if file.is_file():
            file.read_bytes()
    return place


def _best_workers(
    task: str, plan: Any, args: argparse.Namespace, place: Path, tried: list[Row]
) -> int | None:
    """With how many workers stock fastai is fastest, in one epoch at the first size after another."""
    few = (0,) if plan.pretrained else (2,)
    frozen = (2,) if plan.pretrained else (0,)
    short = replace(plan, sizes=plan.sizes[:1], freeze_epochs=frozen, epochs=few)
    if args.workers is not None and len(args.workers) == 1:
        return int(args.workers[0])
    choices = WORKERS if args.workers is None else (None, *args.workers)
    seconds = {}
    for workers in choices:
        row = _train(task, short, args, place, STOCK, args.seeds[0], workers, "try   ")
        seconds[workers] = row["epochs"][-1]["seconds"]
        tried.append(row)
    return min(seconds, key=lambda workers: seconds[workers])


def _train(
    task: str,
    plan: Any,
    args: argparse.Namespace,
    place: Path,
    side: str,
    seed: int,
    workers: int | None,
    what: str = "RESULT",
) -> Row:
    """One training in a process and a home of its own."""
    told: Row = {"task": task, "side": side, "seed": seed}
    told |= {"workers": workers} if side == STOCK else {}
    job = {**told, "plan": asdict(plan), "data": str(args.data), "folder": str(place), "device": args.device}
    job |= {"precision": args.precision, "stock_precision": args.stock_precision}
    with tempfile.TemporaryDirectory() as home:
        row = {**told, **apart(__file__, job, Path(home), args.device)}
    values = "  ".join(f"{name} {row[name]:.4f}" for name in METRICS[task])
    busy = f"  GPU {row['gpu_percent']} %" if "gpu_percent" in row else ""
    print(
        f"{what} {task:7s} seed {seed}  {side:9s}  {row['seconds']:7.1f} s, "
        f"epochs {row['epoch_seconds']:.1f} s  waiting {row['wait_percent']:.1f} %  {values}{busy}",
        flush=True,
    )
    return row


def summary(task: str, rows: list[Row]) -> Row:
    """Medians of the times and their ratios, and means of the figures."""
    of = {side: [row for row in rows if row["side"] == side] for side in (STOCK, OURS)}
    found: Row = {"task": task}
    for name in ("seconds", "epoch_seconds", "wait_percent"):
        found[name] = {side: round(median(row[name] for row in of[side]), 2) for side in of}
    for name in ("seconds", "epoch_seconds"):
        found[f"{name}_ratio"] = round(found[name][STOCK] / found[name][OURS], 2)
    for name in METRICS[task]:
        values = {side: [row[name] for row in of[side]] for side in of}
        spread = {side: stdev(each) if len(each) > 1 else 0.0 for side, each in values.items()}
        found[name] = {"mean": {side: mean(values[side]) for side in of}, "sd": spread}
    return found


def print_summary(found: Row) -> None:
    """The ratio of a task's times, and its figures."""
    print(
        f"\n{found['task']}: {found['seconds'][STOCK]} s stock, {found['seconds'][OURS]} s visionkit: "
        f"{found['seconds_ratio']} times as fast; epochs alone {found['epoch_seconds_ratio']} times; "
        f"waiting {found['wait_percent'][STOCK]} and {found['wait_percent'][OURS]} % from the second epoch"
    )
    for name in METRICS[found["task"]]:
        both = [
            f"{side} {found[name]['mean'][side]:.4f} ± {found[name]['sd'][side]:.4f}"
            for side in (STOCK, OURS)
        ]
        print(f"  {name:15s} {'  '.join(both)}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(0 if answered(measure) else main())
