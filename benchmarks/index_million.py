"""How long a folder of a million images and a table of as many rows take to index, and how much memory.

    python benchmarks/index_million.py --out benchmarks/results/index_million.json

`visionkit.data.images.image_files` lists the folder; `visionkit.data.tags.read_tags` lists it, reads the
table and holds the one against the other. Beside them, in the same run, the peers: `get_image_files` of
fastai for the folder, and `pandas.read_csv` for the table. Every measurement is a process of its own. Exits
with 1 where visionkit takes 60 seconds or more, or 1 GB or more. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

Row = dict[str, Any]

BOUND_SECONDS, BOUND_BYTES = 60.0, 10**9
STEP = 15_485_863  # a prime: its multiples take the rows through all numbers below the count
TAGS = (
    "agriculture", "artisinal_mine", "bare_ground", "blooming", "blow_down", "clear", "cloudy",
    "conventional_mine", "cultivation", "habitation", "haze", "partly_cloudy", "primary", "road",
    "selective_logging", "slash_burn", "water",
)  # fmt: skip
WAYS = ("image_files", "read_tags", "fastai get_image_files", "pandas read_csv")
OURS = WAYS[:2]


# ---- what is measured, each in a process of its own ------------------------------------------------------


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measured(way: str, folder: Path) -> Row:
    """Index once in this process; the time is without imports, the memory with them."""
    images, table = folder / "images", folder / "labels.csv"
    found: Any
    if way == "image_files":
        from visionkit.data.images import image_files

        imported, started = peak_bytes(), time.perf_counter()
        found = image_files(images)
    elif way == "read_tags":
        from visionkit.data.tags import read_tags

        imported, started = peak_bytes(), time.perf_counter()
        found = read_tags(table, images)
    elif way == "fastai get_image_files":
        from fastai.data.transforms import get_image_files

        imported, started = peak_bytes(), time.perf_counter()
        found = get_image_files(images)
    else:
        from pandas import read_csv

        imported, started = peak_bytes(), time.perf_counter()
        found = read_csv(table, dtype=str)
    seconds = time.perf_counter() - started
    return {
        "way": way,
        "items": len(found),
        "seconds": round(seconds, 2),
        "peak_bytes": peak_bytes(),
        "peak_bytes_after_imports": imported,
    }


# ---- the folder and the table ----------------------------------------------------------------------------


@contextmanager
def drawn(count: int, parent: Path | None) -> Iterator[Path]:
    """A folder with `images/train_0.jpg` and so on, all empty files, and `labels.csv`; removed afterwards.

    The rows are in another order than the files, as in Kaggle's table, and have one to five of 17 tags.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="visionkit-index-", dir=parent))
    try:
        (folder / "images").mkdir()
        for number in range(count):
            os.close(os.open(f"{folder}/images/train_{number}.jpg", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        rng = random.Random(0)
        with (folder / "labels.csv").open("w") as table:
            table.write("image_name,tags\n")
            for place in range(count):
                # Without a list of numbers: Linux counts this process' memory to the peak of those it starts.
                number = place * STEP % count
                table.write(f"train_{number},{' '.join(rng.sample(TAGS, rng.randint(1, 5)))}\n")
        yield folder
    finally:
        shutil.rmtree(folder)


# ---- the run ---------------------------------------------------------------------------------------------


def measure(folder: Path, count: int, repeats: int) -> list[Row]:
    """Every way, `repeats` times in turn. Raises RuntimeError where one finds another number of items."""
    rows: list[Row] = []
    for _ in range(repeats):
        for way in WAYS:
            command = [sys.executable, __file__, "--measure", way, "--folder", str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row = json.loads(done.stdout.splitlines()[-1])
            if row["items"] != count:
                raise RuntimeError(f"{way} found {row['items']:,} items of {count:,}.")
            rows.append(row)
            print(f"RESULT {way:24s} {row['seconds']:7.2f} s  {megabytes(row['peak_bytes'])}", flush=True)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """The median time and the largest memory of every way, and whether ours are within the bound."""
    results: list[Row] = []
    for way in WAYS:
        own = [row for row in rows if row["way"] == way]
        result: Row = {
            "way": way,
            "seconds": median(row["seconds"] for row in own),
            "slowest_seconds": max(row["seconds"] for row in own),
            "peak_bytes": max(row["peak_bytes"] for row in own),
            "peak_bytes_after_imports": max(row["peak_bytes_after_imports"] for row in own),
        }
        if way in OURS:
            result["within_bound"] = (
                result["slowest_seconds"] < BOUND_SECONDS and result["peak_bytes"] < BOUND_BYTES
            )
        results.append(result)
    return results


def megabytes(count: int) -> str:
    """In units of 1,000,000 bytes."""
    return f"{count / 1e6:,.0f} MB"


def main() -> int:
    """Parse, draw, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Index a million files and rows.")
    parser.add_argument("--count", type=int, default=1_000_000, help="files, and rows of the table")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are drawn, in a folder of their own")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured(args.measure, args.folder)))
        return 0

    started = time.perf_counter()
    with drawn(args.count, args.folder) as folder:
        print(f"drew {args.count:,} files and rows in {time.perf_counter() - started:.0f} s", flush=True)
        rows = measure(folder, args.count, args.repeats)
    results = summary(rows)
    print(f"\n{'':24s} {'median':>9s} {'slowest':>9s} {'peak':>9s} {'of it imports':>14s}")
    for result in results:
        times = f"{result['seconds']:7.2f} s {result['slowest_seconds']:7.2f} s"
        memory = f"{megabytes(result['peak_bytes']):>9s} {megabytes(result['peak_bytes_after_imports']):>14s}"
        verdict = {True: "within the bound", False: "MISSES THE BOUND", None: ""}[result.get("within_bound")]
        print(f"{result['way']:24s} {times} {memory}  {verdict}")
    if args.out:
        write(args.out, args.count, rows, results)
    return 0 if all(result.get("within_bound", True) for result in results) else 1


def write(path: Path, count: int, rows: list[Row], results: list[Row]) -> None:
    """The results, with the versions that gave them."""
    about: Row = {"date": str(date.today()), "cpus": os.cpu_count(), "python": platform.python_version()}
    about |= {name: version(name) for name in ("visionkit", "fastai", "pandas")}
    bound = {"seconds": BOUND_SECONDS, "bytes": BOUND_BYTES}
    content = {"about": about, "count": count, "bound": bound, "rows": rows, "summary": results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
