"""What an image costs as sets of shards grow: packing, indexing, and epochs through a cache of bounded size.

    python benchmarks/shard_cost.py --data ../shared/data --out benchmarks/results/shard_cost.json

A few hundred of the pets' photos, made small, are encoded once and repeated in shards, which a server on
127.0.0.1 gives out. Every size is a process of its own; all is removed at the end. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import record
from apart import Row, answered, apart
from process_memory import process_memory
from repeated import shrunk

SEED = 0


def measure(job: Row) -> Row:
    """Index from the shards, find and split the images, and load `epochs` epochs without a network."""
    import fastai.vision.all  # noqa: F401 (before memory is looked at)

    from visionkit.data.dataset import Dataset
    from visionkit.registry import get_recipe
    from visionkit.shards.index import PARTS
    from visionkit.shards.source import ShardSource, shard_cache, shard_set
    from visionkit.sources.base import Store

    recipe, store = get_recipe("shards"), Store(shard_bytes=job["cache_bytes"])
    options = {name: job[name] for name in ("size", "presize", "bs", "workers", "mix_shards")}
    settings = recipe.resolved(**options, seed=SEED, device="cpu")
    costs: Row = {}
    with served(Path(job["folder"])) as (address, asked):
        source = ShardSource(f"{address}/train-{{000000..{job['shards'] - 1:06d}}}.tar")
        with timed(costs, "list_and_index"):
            folder = source.fetch(store)
        with timed(costs, "index_again"):
            source.fetch(store)
        imported = process_memory()
        with timed(costs, "find"):
            dataset = Dataset.open(recipe, settings, folder, store)
        with timed(costs, "fingerprint"):
            dataset.fingerprint()
        found = process_memory()
        index_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        parts_bytes = sum(file.stat().st_size for file in (folder / PARTS).iterdir())
        dls, epochs, most = dataset.dataloaders(job["size"]), [], 0
        for _ in range(job["epochs"]):
            del asked[:]
            epochs.append(_epoch(dls.train))
            epochs[-1]["fetches"] = len(asked)
            most = max(most, shard_cache(store).held())
        with timed(costs, "order"):
            dls.train.drawn_order()
        rows = len(shard_set(folder))
    return {
        "rows": rows,
        "train_shards": len({dataset.images[index].parent for index in dataset.train}),
        "seconds": {name: round(value, 3) for name, value in costs.items()},
        "index_bytes": index_bytes,
        "parts_bytes": parts_bytes,
        "cache_bytes": most,
        "imported": imported,
        "found": found,
        "epochs": epochs,
    }


@contextmanager
def timed(costs: Row, name: str) -> Iterator[None]:
    """Note how long the block takes."""
    started = time.perf_counter()
    yield
    costs[name] = time.perf_counter() - started


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The files of `folder` on 127.0.0.1: the address, and the shards that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.endswith(".tar"):
                asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def pack_all(photos: list[Path], folder: Path, images: int, per_shard: int) -> Row:
    """Shards of `images` photos, repeated, without indices beside them; and what packing took."""
    from visionkit.shards.index import BESIDE
    from visionkit.shards.packing import Packed, pack

    contents = [(file.read_bytes(), file.stem.rpartition("_")[0]) for file in photos]
    packed = (
        Packed(f"{number:08d}", "jpg", *contents[number * 7919 % len(contents)])  # prime: classes mix
        for number in range(images)
    )
    started = time.perf_counter()
    shards = pack(islice(packed, images), folder, "train", per_shard)
    seconds = time.perf_counter() - started
    for shard in shards:
        Path(f"{shard}{BESIDE}").unlink()
    size = [shard.stat().st_size for shard in shards]
    return {
        "shards": len(shards),
        "bytes": sum(size),
        "largest": max(size),
        "pack_seconds": round(seconds, 3),
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
    parser = argparse.ArgumentParser(description="Cost per image and memory as sets of shards grow.")
    parser.add_argument("--data", type=Path, required=True, help="folder of pets")
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 50_000, 200_000])
    parser.add_argument("--per-shard", type=int, default=500, help="images in a shard")
    parser.add_argument("--cached-shards", type=int, default=12, help="shards that the cache has room for")
    parser.add_argument("--mix-shards", type=int, default=4)
    parser.add_argument("--photo", type=int, default=96, help="short side of the files, in pixels")
    parser.add_argument("--presize", type=int, default=64, help="of items, in pixels")
    parser.add_argument("--size", type=int, default=64, help="of training images, in pixels")
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--temp", type=Path, help="where files are made; the system's folder where empty")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    options = ("size", "presize", "bs", "workers", "epochs", "mix_shards")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=args.temp) as temporary:
        small = Path(temporary) / "small"
        shrunk(args.data / "pets", small, args.photo)
        photos = sorted((small / "images").glob("*.jpg"))
        for images in args.images:
            folder, home = Path(temporary) / "data", Path(temporary) / "home"
            folder.mkdir()
            packed = pack_all(photos, folder, images, args.per_shard)
            job = {"folder": str(folder), "shards": packed["shards"]}
            job["cache_bytes"] = args.cached_shards * packed["largest"]
            job |= {name: getattr(args, name) for name in options}
            rows.append(
                {"images": images, **packed, "limit": job["cache_bytes"], **apart(__file__, job, home)}
            )
            shutil.rmtree(folder)
            shutil.rmtree(home)
            print("  ".join(f"{name} {value:,}" for name, value in summary(rows[-1]).items()), flush=True)
            content = {"about": record.about(), "settings": record.settings(args)}
            record.write(args.out, {**content, "rows": rows, "summary": [summary(row) for row in rows]})
    return 0


def summary(row: Row) -> Row:
    """Microseconds an image of each step (epochs: the mean), bytes an image, and megabytes."""
    images = row["images"]
    costs: Row = {
        f"{name}_us": round(value / images * 1e6, 1)
        for name, value in {"pack": row["pack_seconds"], **row["seconds"]}.items()
    }
    seconds, loaded = (sum(epoch[name] for epoch in row["epochs"]) for name in ("seconds", "images"))
    grown = row["found"].get("own_mb", 0.0) - row["imported"].get("own_mb", 0.0)
    return {
        "images": images,
        "shards": row["shards"],
        **costs,
        "epoch_us": round(seconds / loaded * 1e6, 1),
        "fetches_a_shard": round(max(epoch["fetches"] for epoch in row["epochs"]) / row["train_shards"], 3),
        "index_bytes": round(row["index_bytes"] / images, 1),
        "memory_bytes": round(grown * 1e6 / images),
        "cache_share": round(row["cache_bytes"] / row["limit"], 3),
        "own_mb_last_epoch": row["epochs"][-1].get("own_mb", 0.0),
    }


if __name__ == "__main__":
    sys.exit(0 if answered(measure) else main())
