"""How fast images are predicted: visionkit beside fastai's `get_preds` and a loop of `learn.predict`.

    python benchmarks/predict_speed.py --data ../shared/data/pets --weights ../shared/data/weights \
        --out benchmarks/results/predict_speed.json

DATA is a folder in the layout of the recipe pets: `images/Abyssinian_1.jpg`. For every network a short
training gives a run; its weights go into a Learner that is built with fastai alone. All ways then take turns
on the same photos, which links repeat up to `--images`; medians are compared. Exits with 1 where the answers
in fp32 are not those of `get_preds`. See BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for all; read when torch is loaded

import fastai.vision.all as fv
import numpy as np
import torch
from safetensors.torch import load_file

import visionkit

Row = dict[str, Any]
SAME = 1e-5
"""How far probabilities may be from those of `get_preds`, computed in fp32."""
NETWORKS = ("squeezenet1_0:96", "resnet18:128")
GET_PREDS = "get_preds, {} workers"


def trained(data: Path, arch: str, size: int, weights: Path | None, out: Path) -> Path:
    """A run of the recipe pets, short: five epochs."""
    from visionkit.recipes import pets

    file = weights / f"{arch}.pth" if weights else None
    known = file is not None and file.is_file()
    options: dict[str, Any] = {"weights": file} if known else {"pretrained": False}
    options |= {"epochs": (2,), "freeze_epochs": (3,), "lr": 0.003}
    pets.train(data, out=out, arch=arch, size=size, device="cpu", **options)
    return out


def stock_learner(data: Path, arch: str, size: int, run: Path) -> fv.Learner:
    """A Learner as in fastai's course, with the run's weights."""
    block = fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: sorted(fv.get_image_files(folder / "images")),
        get_y=fv.using_attr(fv.RegexLabeller(r"^(.+)_\d+\.[^.]+$"), "name"),
        splitter=fv.RandomSplitter(0.2, seed=42),
        item_tfms=fv.Resize(2 * size),
        batch_tfms=[
            *fv.aug_transforms(size=size, min_scale=0.75),
            fv.Normalize.from_stats(*fv.imagenet_stats),
        ],
    )
    dls = block.dataloaders(data, bs=64)  # and fastai's number of workers
    learn = fv.vision_learner(dls, getattr(fv.models, arch), pretrained=False)
    learn.model.load_state_dict(load_file(run / "model" / "model.safetensors"))
    learn.dls.cpu()
    learn.model.cpu()
    return learn


def get_preds(learn: fv.Learner, files: Sequence[Path], workers: int | None) -> np.ndarray:
    """Probabilities of all files; None leaves the workers to fastai."""
    chosen = {} if workers is None else {"num_workers": workers}
    with learn.no_bar(), learn.no_logging():
        return np.asarray(learn.get_preds(dl=learn.dls.test_dl(files, **chosen))[0])


def one_by_one(learn: fv.Learner, files: Sequence[Path]) -> np.ndarray:
    """Probabilities by a loop of `learn.predict`."""
    with learn.no_bar(), learn.no_logging():
        return np.stack([np.asarray(learn.predict(file)[2]) for file in files])


def probabilities(predictor: Any, files: Sequence[Path]) -> np.ndarray:
    """Those of visionkit."""
    return np.stack([said.probabilities for said in predictor.predict(files)])


def called(run: Path, folder: Path, precision: str) -> None:
    """`visionkit predict` in a process of its own, into a new CSV file."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "visionkit", "predict", str(run), str(folder), "--device", "cpu"]
        command += ["--precision", precision, "--out", str(Path(place) / "answers.csv")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(data: Path, network: str, args: argparse.Namespace, place: Path) -> list[Row]:
    """One row for every way and turn."""
    arch, size = network.split(":")
    run = trained(data, arch, int(size), args.weights, place / f"run-{arch}")
    learn = stock_learner(data, arch, int(size), run)
    files = sorted((place / "photos").iterdir())
    few = files[: args.single]
    models = {precision: visionkit.load(run, "cpu", precision) for precision in args.precisions}
    default = learn.dls.test_dl(few).fake_l.num_workers

    ways: dict[str, tuple[int, Callable[[], np.ndarray | None]]] = {
        GET_PREDS.format(f"{default} (fastai's default)"): (
            len(files),
            partial(get_preds, learn, files, None),
        )
    }
    for workers in sorted(set(args.workers) - {default}):
        ways[GET_PREDS.format(workers)] = len(files), partial(get_preds, learn, files, workers)
    ways["a loop of learn.predict"] = len(few), partial(one_by_one, learn, few)
    for name, model in models.items():
        ways[f"Predictor, {name}"] = len(files), partial(probabilities, model, files)
        ways[f"visionkit predict, {name}"] = len(files), partial(called, run, place / "photos", name)

    expected = get_preds(learn, few, 0)
    order = expected.argsort(1)
    margin = np.take_along_axis(expected, order[:, -1:], 1) - np.take_along_axis(expected, order[:, -2:-1], 1)
    rows: list[Row] = []
    for turn in range(args.repeats):
        for way, (count, act) in ways.items():
            started = time.perf_counter()
            found = act()
            seconds = time.perf_counter() - started
            row: Row = {"network": network, "way": way, "turn": turn, "images": count}
            row |= {"seconds": round(seconds, 3), "images_per_s": round(count / seconds, 1)}
            if found is not None:
                there = found[: len(few)]
                agreed = there.argmax(1) == expected.argmax(1)
                row["difference"] = float(np.abs(there - expected).max())
                row["same_label"] = float(agreed.mean())
                row["widest_margin_changed"] = float(margin[~agreed].max(initial=0))
            rows.append(row)
            print(f"RESULT {network}  {way:42s} {row['images_per_s']:8.1f} images/s", flush=True)
    return rows


def summary(rows: list[Row]) -> list[Row]:
    """For every network and way the median, and how many times as fast it is as each of fastai's ways."""
    found = []
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        speeds = {
            way: median(row["images_per_s"] for row in own if row["way"] == way)
            for way in dict.fromkeys(row["way"] for row in own)
        }
        stock = {way: speed for way, speed in speeds.items() if way.startswith("get_preds")}
        usual, best = next(iter(stock.values())), max(stock.values())
        for way, speed in speeds.items():
            differences = [row["difference"] for row in own if row["way"] == way and "difference" in row]
            same = [row["same_label"] for row in own if row["way"] == way and "same_label" in row]
            found.append(
                {
                    "network": network,
                    "way": way,
                    "images_per_s": speed,
                    "times_default_get_preds": round(speed / usual, 2),
                    "times_best_get_preds": round(speed / best, 2),
                    "times_learn_predict": round(speed / speeds["a loop of learn.predict"], 1),
                    "difference": max(differences, default=None),
                    "same_label": min(same, default=None),
                }
            )
    return found


def photos(data: Path, count: int, folder: Path) -> None:
    """Links to the photos of `data`, again and again up to `count`."""
    folder.mkdir()
    files = [
        path
        for path in sorted((data / "images").iterdir())
        if re.search(r"\.jpe?g$", path.name, re.IGNORECASE)
    ]
    for number in range(count):
        (folder / f"{number:06}.jpg").symlink_to(files[number % len(files)].resolve())


def write(path: Path, rows: list[Row]) -> None:
    """The results so far, with the versions that gave them."""
    about: Row = {"date": str(date.today()), "cpus": os.cpu_count(), "threads": torch.get_num_threads()}
    about |= {"python": platform.python_version(), "load_average": round(os.getloadavg()[0], 1)}
    about |= {name: version(name) for name in ("visionkit", "fastai", "torch", "torchvision", "pillow")}
    content = {"about": about, "rows": rows, "summary": summary(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def main() -> int:
    """Parse, measure, print, and write the JSON file where one is asked for."""
    parser = argparse.ArgumentParser(description="Predictions a second: fastai and visionkit.")
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ of the recipe pets")
    parser.add_argument("--weights", type=Path, help="folder of ARCH.pth; else networks start from scratch")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), metavar="ARCH:SIZE")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--single", type=int, default=100, help="images of the loop of learn.predict")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1], help="besides fastai's default")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()

    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        photos(args.data, args.images, place / "photos")
        for network in args.networks:
            rows += measure(args.data, network, args, place)
            if args.out:
                write(args.out, rows)
    print()
    results = summary(rows)
    for row in results:
        usual, best = row["times_default_get_preds"], row["times_best_get_preds"]
        print(
            f"{row['network']:18s} {row['way']:42s} {row['images_per_s']:7.0f} images/s, {usual:.1f} and "
            f"{best:.1f} times get_preds (its default, its best), {row['times_learn_predict']:.0f} times "
            "learn.predict"
            + (f", difference {row['difference']:.1e}" if row["difference"] is not None else "")
        )
    exact = [row["difference"] for row in results if row["way"] == "Predictor, fp32"]
    return 0 if all(difference <= SAME for difference in exact) else 1


if __name__ == "__main__":
    sys.exit(main())
