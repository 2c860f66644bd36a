"""Small data sets in the recipes' layouts, and the command line in this process."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # spinning threads make two busy cores far slower
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # each of the two workers has a core
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also for programs that tests start
os.environ["MPLBACKEND"] = "agg"
os.environ["HOME"] = tempfile.mkdtemp(prefix="visionkit-home-")  # tests leave the user's own data alone

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)

REAL_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
FAST = [
    "--no-html",
    "--arch",
    "squeezenet1_1",
    "--no-pretrained",
    "--workers",
    "0",
    "--precision",
    "fp32",
    "--bs",
    "4",
]
FAST += ["--freeze-epochs", "0", "--epochs", "1"]
SMALL_UNET = ["--arch", "small_vgg"]
SIZES = {"pets": "32", "planet": "32", "camvid": "36"}
CODES = ["Sky", "Road", "Car", "Void"]
Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Calls the command line in this process, in an empty folder: `cli("pets", "--size", 32)`."""
    from visionkit.cli.app import app

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def call(*args: object) -> Result:
        return CliRunner().invoke(app, list(map(str, args)), prog_name="visionkit")

    return call


def noise(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """24 photos of three breeds, of varying sizes."""
    folder = tmp_path / "pets"
    (folder / "images").mkdir(parents=True)
    for breed_number, breed in enumerate(("Abyssinian", "german_shorthaired", "Sphynx")):
        for number in range(1, 9):
            picture = noise(number, 30 + 3 * number, 50 - 2 * number) // 3 + 60 * breed_number
            Image.fromarray(picture).save(folder / "images" / f"{breed}_{number}.jpg")
    return folder


@pytest.fixture
def planet(tmp_path: Path) -> Path:
    """20 chips in CMYK with three tags, in Kaggle's layout."""
    folder = tmp_path / "planet"
    (folder / "train-jpg").mkdir(parents=True)
    rows = ["image_name,tags"]
    for number in range(20):
        tags = ["clear" if number % 2 else "haze"] + ["primary"] * (number % 3 > 0)
        picture = Image.fromarray(noise(number, 40, 40) // 2 + 100 * (number % 2))
        picture.convert("CMYK").save(folder / "train-jpg" / f"train_{number}.jpg")
        rows.append(f"train_{number},{' '.join(tags)}")
    (folder / "train_v2.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """10 frames of 48x36 px with masks of four codes, the last two frames for validation."""
    folder = tmp_path / "camvid"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "codes.txt").write_text("\n".join(CODES) + "\n")
    (folder / "valid.txt").write_text("frame_8.png\nframe_9.png\n")
    for number in range(10):
        mask = np.zeros((36, 48), dtype=np.uint8)
        mask[12 + number :] = 1
        mask[20:26, 10:20] = 2
        mask[:, :2] = 3
        Image.fromarray(noise(number, 48, 36) // 3 + 50 * mask[..., None]).save(
            folder / "images" / f"frame_{number}.png"
        )
        Image.fromarray(mask).save(folder / "labels" / f"frame_{number}_P.png")
    return folder


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """Two persons with eight frames of 64x48 px, in BIWI's layout."""
    folder = tmp_path / "heads"
    for number, person in enumerate(("01", "13")):
        (folder / person).mkdir(parents=True)
        (folder / person / "rgb.cal").write_text("52 0 32\n0 52 24\n0 0 1\n\n0 0 0 0\n")
        for frame in range(8):
            stem = folder / person / f"frame_{frame + 3:05d}"
            Image.fromarray(noise(10 * number + frame, 64, 48)).save(f"{stem}_rgb.jpg")
            x, y = 10 + 6 * frame, 12 + 3 * frame
            pose = f"1 0 0 \n0 1 0 \n0 0 1 \n\n{(x - 32) * 900 / 52} {(y - 24) * 900 / 52} 900 \n"
            Path(f"{stem}_pose.txt").write_text(pose)
    return folder


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """The recipe's name and its small data set; parametrize indirectly with the name."""
    return request.param, request.getfixturevalue(request.param)


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are made and their files written, but nothing is painted, which takes most of a small training.

    For tests of something else than plots. SVG files are whole.
    """
    from matplotlib.figure import Figure

    paint = Figure.savefig

    def blank(figure: Figure, file: Any, *, format: str, **options: Any) -> None:
        if format == "png":
            Image.new("RGB", (640, 480)).save(file, "PNG")
        else:
            paint(figure, file, format=format, **options)

    monkeypatch.setattr(Figure, "savefig", blank)


def train_fast(cli: Cli, recipe: str, folder: Path, *options: object) -> Result:
    """One short training on the CPU; U-Nets are on the smallest body."""
    small = SMALL_UNET if recipe == "camvid" else []
    return cli(recipe, "--data", folder, "--size", SIZES[recipe], "--then", "", *FAST, *small, *options)


@pytest.fixture
def dogscats(tmp_path: Path) -> Path:
    """12 cats and 12 dogs in Kaggle's layout, and three test photos, of varying sizes."""
    folder = tmp_path / "dogscats"
    for place in ("train", "test"):
        (folder / place).mkdir(parents=True)
    for number in range(24):
        picture = noise(number, 30 + number, 50 - number) // 3 + 120 * (number % 2)
        name = f"{('cat', 'dog')[number % 2]}.{number // 2}.jpg"
        Image.fromarray(picture).save(folder / "train" / name)
    for number in (1, 2, 10):
        Image.fromarray(noise(100 + number, 40, 30)).save(folder / "test" / f"{number}.jpg")
    return folder


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """30 photos with skirt lengths, half of them with a maybe, and two with lengths of trousers."""
    folder = tmp_path / "fashion"
    rows = []
    for place, labels in (
        ("skirt_length_labels", ["nnynnn", "nymnnn", "nnnnny"] * 10),
        ("pant_length_labels", ["nnnnny", "ynnnnn"]),
    ):
        (folder / "base" / "Images" / place).mkdir(parents=True)
        for number, letters in enumerate(labels):
            picture = noise(number, 36, 36) // 3 + 40 * letters.index("y")
            Image.fromarray(picture).save(folder / "base" / "Images" / place / f"{number}.jpg")
            rows.append(f"Images/{place}/{number}.jpg,{place},{letters}")
    (folder / "base" / "Annotations").mkdir()
    (folder / "base" / "Annotations" / "label.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def browser() -> Iterator[Any]:
    """A browser of Playwright's; modules that take it are marked with `browsing.IN_A_BROWSER`."""
    from browsing import CHROMIUM
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()
