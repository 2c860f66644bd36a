"""What an image costs as data sets grow: indexing, the first pass, and epochs of loading; and memory.

    python benchmarks/cost_curve.py --data ../shared/data --out benchmarks/results/cost_curve.json

The pets' photos, made small and repeated by hard links, each a file of its own for visionkit. Every size is
a process of its own; all is removed at the end. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import record
from apart import Row, answered, apart
from process_memory import process_memory
from repeated import repeat, shrunk

SEED = 0


def measure(job: Row) -> Row:
    """Index, check, fill the cache and load `epochs` epochs of training images, without a network."""
    from fastai.vision.all import Normalize, imagenet_stats

    from visionkit.checks.training import check_for_training
    from visionkit.data.dataset import Dataset
    from visionkit.loading.loader import CachedLoading
    from visionkit.registry import get_recipe
    from visionkit.sources.base import Store

    recipe, folder, store = get_recipe("pets"), Path(job["folder"]), Store()
    options = {"size": job["size"], "presize": job["presize"], "bs": job["bs"], "seed": SEED}
    settings = recipe.resolved(**options, workers=job["workers"], device="cpu")
    imported = process_memory()
    moments = [time.perf_counter()]
    dataset = Dataset.find(recipe, settings, folder)
    moments.append(time.perf_counter())
    check_for_training(dataset, store)
    moments.append(time.perf_counter())
    dataset = Dataset.open(recipe, settings, folder, store)  # with the store, and all of it remembered
    moments.append(time.perf_counter())
    if not dataset.fill_cache([job["size"]]):
        raise RuntimeError("the images are not in the cache: see above")
    moments.append(time.perf_counter())
    dls = dataset.dataloaders(job["size"], fill=False)
    moments.append(time.perf_counter())
    if not isinstance(dls.train, CachedLoading):
        raise RuntimeError("the images do not come from the cache")
    dls.add_tfms([Normalize.from_stats(*imagenet_stats)], "after_batch")
    steps = ("index", "check", "check_again", "build", "open")
    costs = {f"{step}_seconds": after - before for step, (before, after) in zip(steps, pairwise(moments))}
    cached = sum(file.stat().st_size for file in store.cache_folder.glob("*/*"))
    before = process_memory()
    epochs = [_epoch(dls.train) for _ in range(job["epochs"])]
    return {
        **{name: round(value, 3) for name, value in costs.items()},
        "cache_mb": round(cached / 1e6, 1),
        "imported": imported,
        "before_epochs": before,
        "epochs": epochs,
    }


def _epoch(loader: Any) -> Row:
    started, images = time.perf_counter(), 0
    for batch in loader:
        images += len(batch[0])
    seconds = time.perf_counter() - started
    rate = round(images / seconds, 1)
    return {"images": images, "seconds": round(seconds, 3), "images_per_s": rate, **process_memory()}


def main() -> int:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Cost per image and memory as data sets grow.")
    parser.add_argument("--data", type=Path, required=True, help="folder of pets")
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 50_000, 200_000])
    parser.add_argument("--photo", type=int, default=96, help="short side of the files, in pixels")
    parser.add_argument("--presize", type=int, default=64, help="short side of what is kept, in pixels")
    parser.add_argument("--size", type=int, default=64, help="of training images, in pixels")
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--temp", type=Path, help="where files are made; the system's folder where empty")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    options = ("size", "presize", "bs", "workers", "epochs")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=args.temp) as temporary:
        shrunk(args.data / "pets", Path(temporary) / "small", args.photo)
        for images in args.images:
            folder, home = Path(temporary) / "data", Path(temporary) / "home"
            repeat("pets", Path(temporary) / "small", folder, images, os.link)
            job = {"folder": str(folder), **{name: getattr(args, name) for name in options}}
            rows.append({"images": images, **apart(__file__, job, home)})
            shutil.rmtree(folder)
            shutil.rmtree(home)
            tell(rows[-1])
            content = {"about": record.about(), "settings": record.settings(args)}
            record.write(args.out, {**content, "rows": rows, "summary": [summary(row) for row in rows]})
    for row in rows:
        print("  ".join(f"{name} {value:,}" for name, value in summary(row).items()))
    return 0


def tell(row: Row) -> None:
    """One size and its epochs."""
    found = summary(row)
    print(
        f"RESULT {row['images']:9,} images  index {found['index_us']:,} check {found['check_us']:,} build "
        f"{found['build_us']:,} epoch {found['epoch_us']:,} µs an image, cache {row['cache_mb']:,} MB",
        flush=True,
    )
    for number, epoch in enumerate(row["epochs"], 1):
        memory = f"{epoch.get('own_mb', 0):,} MB own, {epoch.get('file_mb', 0):,} MB of files"
        print(f"       epoch {number}: {epoch['images_per_s']:,} images/s, {memory}", flush=True)


def summary(row: Row) -> Row:
    """Microseconds an image of each step (epochs: the mean from the second on), and megabytes."""
    steps = ("index", "check", "check_again", "build", "open")
    costs: Row = {f"{step}_us": round(row[f"{step}_seconds"] / row["images"] * 1e6, 1) for step in steps}
    later = row["epochs"][1:] or row["epochs"]
    seconds, loaded = (sum(epoch[name] for epoch in later) for name in ("seconds", "images"))
    own = [epoch.get("own_mb", 0.0) for epoch in row["epochs"]]
    return {
        "images": row["images"],
        **costs,
        "epoch_us": round(seconds / loaded * 1e6, 1),
        "own_mb_first_epoch": own[0],
        "own_mb_last_epoch": own[-1],
        "resident_mb_last_epoch": row["epochs"][-1].get("resident_mb", 0.0),
    }


if __name__ == "__main__":
    sys.exit(0 if answered(measure) else main())
