"""Kills trainings at random moments, resumes them, and compares what comes out with trainings left alone.

    python benchmarks/kills.py --kills 200 --seed 1 --out benchmarks/results/kills.json

For each case (a recipe with options, on a few drawn images) a training runs to its end. Then it is begun
again, killed with SIGKILL at a random moment, resumed with `visionkit resume`, killed again, and so on; the
rest is finished without a kill. Weights, history.csv (times aside), batches.csv and final metrics have to be
the same to the last bit; after every kill, each file of the run has to be whole. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import record
from PIL import Image
from safetensors.torch import load_file

COMMON = ("--no-pretrained", "--device", "cpu")
TINY = (
    "--arch",
    "small_vgg",
    "--size",
    "32",
    "--epochs",
    "3",
    "--bs",
    "4",
    "--checkpoint-minutes",
    "0.0005",
)  # after each batch
UNET = (
    "--arch",
    "squeezenet1_1",
    "--size",
    "36",
    "--then",
    "",
    "--epochs",
    "2",
    "--bs",
    "4",
    "--checkpoint-minutes",
    "0.01",
)
IMAGES = 32
"""In each data set."""


@dataclass(frozen=True)
class Case:
    """A training: the recipe with its options."""

    name: str
    args: tuple[str, ...]

    def command(self, folder: Path, out: Path) -> list[str]:
        """What trains it, into `out`."""
        return [*self.args, *COMMON, "--data", str(folder / "data" / self.args[0]), "--out", str(out)]


CASES = (
    Case("pets, two sizes", ("pets", *TINY, "--then", "40")),
    Case("pets, cache off, no workers", ("pets", *TINY, "--cache", "off", "--workers", "0")),
    Case("planet, average of weights", ("planet", *TINY, "--then", "40", "--ema", "0.9")),
    Case("planet, cache off, 2 workers, MixUp", ("planet", *TINY, "--then", "",
                                                "--cache", "off", "--workers", "2",
                                                "--mixup", "0.4")),
    Case("camvid", ("camvid", *UNET)),
    Case("camvid, cache off, 1 worker", ("camvid", *UNET, "--cache", "off", "--workers", "1")),
)  # fmt: skip


def main() -> int:
    """Parse, kill, compare, print; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description="Trainings that are killed and resumed.")
    parser.add_argument("--kills", type=int, default=200, help="over all cases")
    parser.add_argument("--cases", nargs="+", type=int, default=list(range(len(CASES))), metavar="NUMBER")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    args = parser.parse_args()
    print(f"seed {args.seed}: {args.kills} kills", flush=True)
    draw = random.Random(args.seed)
    import_all()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        references = {number: reference(CASES[number], Path(folder)) for number in args.cases}
        while sum(row["kills"] for row in rows) < args.kills:
            number = args.cases[len(rows) % len(args.cases)]
            rows.append(tortured(CASES[number], Path(folder), references[number], draw))
            print(told(rows[-1]), flush=True)
    faults = [fault for row in rows for fault in row["faults"]]
    kills = sum(row["kills"] for row in rows)
    print(f"{kills} kills in {len(rows)} trainings, {len(faults)} faults")
    record.write(args.out, {"about": record.about("cpu"), "settings": record.settings(args), "rows": rows})
    return 1 if faults else 0


def import_all() -> None:
    """Once, so that every training that is forked off starts at once."""
    import visionkit.cli.app
    import visionkit.training.resuming
    import visionkit.training.train  # noqa: F401


def prepare(folder: Path) -> None:
    """A home and a working folder of our own."""
    os.environ.update(HOME=str(folder / "home"), OMP_NUM_THREADS="1")
    for name in ("home", "work"):
        (folder / name).mkdir()
    draw_data(folder / "data")
    os.chdir(folder / "work")


def draw_data(folder: Path) -> None:
    """Small data sets in the layouts of pets, planet and camvid; noise with something to learn in it."""
    draw = np.random.default_rng(0)
    for place in ("pets/images", "planet/train-jpg", "camvid/images", "camvid/labels"):
        (folder / place).mkdir(parents=True)
    rows = ["image_name,tags"]
    for number in range(IMAGES):
        kind = number % 2
        pixels = (draw.integers(0, 120, (36, 48, 3)) + 120 * kind).astype(np.uint8)
        mask = np.zeros((36, 48), dtype=np.uint8)
        mask[10 + number % 10 :] = 1
        breed = ("Sphynx", "pug")[kind]
        Image.fromarray(pixels).save(folder / f"pets/images/{breed}_{number // 2}.jpg")
        Image.fromarray(pixels).convert("CMYK").save(folder / f"planet/train-jpg/train_{number}.jpg")
        rows.append(f"train_{number},{('haze', 'clear primary')[kind]}")
        Image.fromarray(pixels + 100 * mask[..., None]).save(folder / f"camvid/images/{number}.png")
        Image.fromarray(mask).save(folder / f"camvid/labels/{number}_P.png")
    (folder / "planet/train_v2.csv").write_text("\n".join(rows) + "\n")
    (folder / "camvid/codes.txt").write_text("Sky\nRoad\n")
    valid = [f"{number}.png\n" for number in range(IMAGES - 6, IMAGES)]
    (folder / "camvid/valid.txt").write_text("".join(valid))


def started(args: Sequence[str], log: Path) -> int:
    """Run the command line in a process of its own; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["visionkit", *args]
    code = 1
    try:
        from visionkit.cli import main as command_line

        command_line()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def reference(case: Case, folder: Path) -> tuple[Path, float]:
    """The run that nobody disturbs, and its seconds."""
    out, began = folder / f"reference {case.name}", time.perf_counter()
    log = folder / "reference.log"
    pid = started(case.command(folder, out), log)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError(f"{case.name}: the training failed:\n{log.read_text()}")
    return out, time.perf_counter() - began


def tortured(
    case: Case, folder: Path, undisturbed: tuple[Path, float], draw: random.Random
) -> dict[str, Any]:
    """Train the case with kills at random moments until it is done, and compare."""
    wanted, seconds = undisturbed
    out, log = folder / "tortured", folder / "tortured.log"
    shutil.rmtree(out, ignore_errors=True)
    if draw.random() < 0.5:  # so that kills hit the making of the cache, too
        shutil.rmtree(folder / "home" / ".visionkit" / "cache", ignore_errors=True)
    log.unlink(missing_ok=True)
    kills, faults = 0, []
    most = draw.randint(3, 12)
    while True:
        begun = (out / "run.json").is_file()
        args = ["resume", str(out)] if begun else case.command(folder, out)
        if not begun:
            shutil.rmtree(out, ignore_errors=True)
        pid = started(args, log)
        left = draw.uniform(0.02, 0.4) * seconds if kills < most else float("inf")
        status = ended(pid, left)
        if status is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
            faults += half_written(out)
        elif status != 0:
            faults.append(f"exit status {status}: {log.read_text()[-2000:]}")
            break
        else:
            faults += differences(wanted, out)
            break
    return {"case": case.name, "kills": kills, "faults": faults}


def ended(pid: int, seconds: float) -> int | None:
    """The exit status of the process; None where it still runs after so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def half_written(run: Path) -> list[str]:
    """Files of a run folder that are not whole, those that are being written (.part) left out."""
    faults = []
    for file in sorted(run.rglob("*")):
        if not file.is_file() or file.name.startswith("."):
            continue
        try:
            whole(file)
        except Exception as error:
            faults.append(f"{file.name} is not whole: {type(error).__name__}: {error}")
    return faults


def whole(file: Path) -> None:
    """Raise where `file` is cut short."""
    if file.suffix == ".json":
        json.loads(file.read_text())
    elif file.suffix == ".csv":
        text = file.read_text()
        rows = list(csv.reader(text.splitlines()))
        if not text.endswith("\n") or len({len(row) for row in rows}) != 1:
            raise ValueError("cut short")
    elif file.suffix == ".png":
        with Image.open(file) as picture:
            picture.load()
    elif file.suffix == ".safetensors":
        load_file(file)


def differences(wanted: Path, found: Path) -> list[str]:
    """What of a finished run is not as in the undisturbed one."""
    from visionkit.runs import BATCHES_FILE, Run
    from visionkit.training.outcome import compare_runs

    outcome = compare_runs(Run.read(wanted), Run.read(found))
    faults = [f"{each.figure}: {each.then}, then {each.now}" for each in (*outcome.figures, *outcome.epochs)]
    if not outcome.same_weights:
        faults.append("the weights differ")
    faults += [
        f"{name} differs"
        for name in (BATCHES_FILE, "split.csv")
        if (wanted / name).read_bytes() != (found / name).read_bytes()
    ]
    names = [{file.relative_to(run).as_posix() for file in run.rglob("*")} for run in (wanted, found)]
    if names[0] != names[1]:
        faults.append(f"files differ: {sorted(names[0] ^ names[1])}")
    return faults + half_written(found)


def told(row: dict[str, Any]) -> str:
    """A training in a line."""
    return f"{row['case']:38s} {row['kills']:3d} kills  " + ("the same" if not row["faults"] else
                                                           "; ".join(row["faults"])[:1500])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
