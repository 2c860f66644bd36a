"""Images a second of training loaders: visionkit over its cache, stock fastai, torchvision and timm.

    python benchmarks/loader_speed.py --data ../shared/data --out benchmarks/results/loader_speed.json

Nothing but loading happens: each batch is dropped as it comes. The data sets' images are repeated by links
until there are `--images` of them, so that epochs are long. Every measurement is a process of its own; sides
take turns in each round, after a first round (0) in which each number of workers is tried. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import record
from apart import Row, answered, apart
from gpu_use import gpu_use
from repeated import class_folders, repeat

SIZES = {"pets": 224, "planet": 128, "camvid": 180}
PRESIZE = {"pets": 460}
SEED = 0
OURS = "visionkit"
# Workers that are tried of each side; None is the side's own default.
WORKERS: dict[str, tuple[int | None, ...]] = {
    OURS: (1, 2),
    "stock": (None, 0, 1, 2),
    "torchvision": (1, 2, 4),
    "torchvision tensor": (1, 2, 4),
    "torchvision trivial": (1, 2, 4),
    "timm": (1, 2, 4),
    "timm prefetcher": (1, 2, 4),
}
ON_GPU: dict[str, tuple[int | None, ...]] = {
    **dict.fromkeys(WORKERS, (4, 8, 16)),
    OURS: (1, 2, 4, 8),
    "stock": (None, 4, 8, 16),
}


def sides(task: str) -> list[str]:
    """Those that can load the task: timm has no masks, and TrivialAugmentWide is for labels."""
    without_masks = ("torchvision trivial", "timm", "timm prefetcher")
    return [side for side in WORKERS if task != "camvid" or side not in without_masks]


# ---- in a process of its own -----------------------------------------------------------------------------


def measure(job: Row) -> Row:
    """Images a second of one side, or how long the cache takes to make."""
    return build(job) if job["side"] == "build" else speed(job)


def build(job: Row) -> Row:
    """The first pass: the check, which decodes all images, then the cache; and opening it afterwards."""
    from visionkit.data.dataset import Dataset
    from visionkit.registry import get_recipe
    from visionkit.sources.base import Store

    recipe = get_recipe(job["task"])
    settings = recipe.resolved(**_options(job), workers=1)
    moments = [time.perf_counter()]
    dataset = Dataset.open(recipe, settings, Path(job["folder"]), Store())
    moments.append(time.perf_counter())
    if not dataset.fill_cache([job["size"]]):
        raise RuntimeError("the images are not in the cache: see above")
    moments.append(time.perf_counter())
    dataset.dataloaders(job["size"])
    moments.append(time.perf_counter())
    check, fill, opening = (after - before for before, after in pairwise(moments))
    images = len(dataset.images)
    return {
        "images": images,
        "check_seconds": round(check, 2),
        "build_seconds": round(fill, 2),
        "open_seconds": round(opening, 2),
        "build_images_per_s": round(images / fill, 1),
    }


def speed(job: Row) -> Row:
    """Images a second, after the first batches."""
    loader = loader_of(job)
    on_gpu = job["device"] != "cpu"
    skipped = 2 + 2 * (job["workers"] or 2)  # what workers made before they were asked
    batches = endless(loader)
    for _ in range(skipped):
        next(batches)
    wait_for(job["device"])
    images = seen = 0
    with gpu_use(job["device"]) as busy:
        started = time.perf_counter()
        while seen < job["batches"] or time.perf_counter() - started < job["seconds"]:
            images += len(next(batches)[0])
            seen += 1
        wait_for(job["device"])
        seconds = time.perf_counter() - started
    batches.close()
    told = {"images": images, "seconds": round(seconds, 2), "images_per_s": round(images / seconds, 1)}
    return told | (busy if on_gpu else {})


def endless(loader: Iterable) -> Iterator[Any]:
    """One epoch after the other."""
    while True:
        yield from loader


def wait_for(device: str) -> None:
    """Until the GPU has done what it was asked for."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def loader_of(job: Row) -> Any:
    """The side's training loader."""
    side, folder, size, bs = job["side"], Path(job["folder"]), job["size"], job["bs"]
    if side == "stock":
        import stock

        presize = PRESIZE.get(job["task"])
        return stock.dataloaders(job["task"], folder, size, bs, SEED, presize, job["workers"]).train
    if side == OURS:
        return ours(job)
    import peers

    if side in peers.TIMM:
        return peers.timm_loader(side, Path(job["classes"]), size, bs, job["workers"], job["device"])
    masks = job["task"] == "camvid"
    target = [size, round(size * 4 / 3)] if masks else size
    place = folder if masks else Path(job["classes"])
    return peers.torchvision_loader(side, place, target, bs, job["workers"], job["device"])


def ours(job: Row) -> Any:
    """The loader of `recipe.dataloaders`, which normalises as the others do."""
    from fastai.vision.all import Normalize, imagenet_stats

    from visionkit.loading.loader import CachedLoading
    from visionkit.registry import get_recipe

    dls = get_recipe(job["task"]).dataloaders(job["folder"], **_options(job), workers=job["workers"])
    if not isinstance(dls.train, CachedLoading):
        raise RuntimeError("the images do not come from the cache")
    dls.add_tfms([Normalize.from_stats(*imagenet_stats)], "after_batch")
    return dls.train


def _options(job: Row) -> Row:
    presize = {"presize": PRESIZE[job["task"]]} if job["task"] in PRESIZE else {}
    return {"size": job["size"], "bs": job["bs"], "seed": SEED, **presize}


# ---- all of them -----------------------------------------------------------------------------------------


def main() -> int:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Images a second of training loaders.")
    parser.add_argument("--data", type=Path, required=True, help="folder of pets, planet and camvid")
    parser.add_argument("--tasks", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--images", type=int, default=2000, help="that each data set is repeated to")
    parser.add_argument("--size", type=int, help="instead of 224 for pets, 128 for planet, 180 for camvid")
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0, help="that a measurement takes at least")
    parser.add_argument("--batches", type=int, default=8, help="and how many batches")
    parser.add_argument("--device", default="cpu", help="cpu or cuda: where batches are wanted")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    builds: list[Row] = []
    rows: list[Row] = []
    summaries: list[Row] = []
    for task in args.tasks:
        with tempfile.TemporaryDirectory() as folder:
            measured = task_rows(task, args, Path(folder), builds)
            for row in measured:
                rows.append(row)
                content = {"about": record.about(args.device), "settings": record.settings(args)}
                record.write(args.out, {**content, "builds": builds, "rows": rows, "summary": summaries})
        summaries.append(summary(task, [row for row in rows if row["task"] == task]))
        print_summary(summaries[-1])
        record.write(args.out, {**content, "builds": builds, "rows": rows, "summary": summaries})
    return 0


def task_rows(task: str, args: argparse.Namespace, folder: Path, builds: list[Row]) -> Iterator[Row]:
    """The measurements of one task, as they come; that of the first pass goes to `builds`."""
    images, classes, home = folder / "data", folder / "classes", folder / "home"
    repeat(task, args.data / task, images, args.images)
    if task != "camvid":
        class_folders(images / ("images" if task == "pets" else "train"), classes)
    for file in images.rglob("*.*"):
        file.read_bytes()  # so that it is in the system's cache
    job: Row = {"task": task, "folder": str(images), "classes": str(classes), "device": args.device}
    job |= {"size": args.size or SIZES[task], "bs": args.bs, "seconds": args.seconds, "batches": args.batches}

    def take(side: str, workers: int | None, number: int) -> Row:
        answer = apart(__file__, {**job, "side": side, "workers": workers}, home, args.device)
        row = {"task": task, "side": side, "workers": workers, "round": number, **answer}
        print(f"RESULT {task:7s} round {number}  {named(side, workers):34s} {told(answer)}", flush=True)
        return row

    builds.append(take("build", None, 0))
    choices_of = WORKERS if args.device == "cpu" else ON_GPU
    tried = {side: choices_of[side] for side in sides(task)}
    first = []
    for side, choices in tried.items():
        for workers in choices:
            first.append(take(side, workers, 0))
            yield first[-1]
    chosen = [(OURS, workers) for workers in tried[OURS]]
    for side in tried:
        if side != OURS:
            best = max((row for row in first if row["side"] == side), key=lambda row: row["images_per_s"])
            default = [(side, None)] if None in tried[side] and best["workers"] is not None else []
            chosen += [*default, (side, best["workers"])]
    for number in range(1, args.rounds + 1):
        for side, workers in chosen if number % 2 else chosen[::-1]:
            yield take(side, workers, number)


def named(side: str, workers: int | None) -> str:
    """A side with its workers, for people."""
    if side == "build":
        return "first pass"
    return (
        f"{side}, {'its own number of' if workers is None else workers} worker{'' if workers == 1 else 's'}"
    )


def told(row: Row) -> str:
    """A measurement in a line."""
    if "build_seconds" in row:
        return (
            f"check {row['check_seconds']} s, cache {row['build_seconds']} s "
            f"({row['build_images_per_s']:,.0f} images/s), opened in {row['open_seconds']} s"
        )
    busy = f", GPU {row['gpu_percent']} %" if "gpu_percent" in row else ""
    return f"{row['images_per_s']:8,.1f} images/s{busy}"


def summary(task: str, rows: list[Row]) -> Row:
    """Medians of the rounds, without the first one that chooses (unless there is none other), and ratios."""
    counted = [row for row in rows if row["round"]] or rows
    medians = {
        (side, workers): median(
            row["images_per_s"] for row in counted if (row["side"], row["workers"]) == (side, workers)
        )
        for side, workers in dict.fromkeys((row["side"], row["workers"]) for row in counted)
    }
    best = {side: max(value for (each, _), value in medians.items() if each == side) for side, _ in medians}
    against = {"stock, its own number of workers": medians.get(("stock", None)), "stock": best["stock"]}
    for family in ("torchvision", "timm"):
        found = [value for side, value in best.items() if side.startswith(family)]
        against |= {family: max(found)} if found else {}
    ratios = {name: round(best[OURS] / value, 1) for name, value in against.items() if value}
    named_medians = {named(side, workers): value for (side, workers), value in medians.items()}
    return {"task": task, "median_images_per_s": named_medians, "times_as_fast_as": ratios}


def print_summary(result: Row) -> None:
    """The medians and ratios of a task."""
    print(f"\n{result['task']}: medians")
    for name, value in result["median_images_per_s"].items():
        print(f"  {name:36s} {value:10,.1f} images/s")
    for name, value in result["times_as_fast_as"].items():
        print(f"  visionkit is {value} times as fast as {name}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(0 if answered(measure) else main())
