"""`visionkit predict`: what it prints, writes, goes on with and refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli, noise, train_fast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inference.stored import stored_bundle, stored_run
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import visionkit
from visionkit.runs import Run
from visionkit.sources.base import Store
from visionkit.training.restore import restore

pytestmark = pytest.mark.usefixtures("unpainted")

TASKS = ("single-label", "multi-label", "segmentation", "keypoints")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle for each task."""
    folder = tmp_path_factory.mktemp("models")
    for task in TASKS:
        stored_bundle(folder / task, task)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(5):
        Image.fromarray(noise(number, 50 + number, 40)).save(folder / f"{number}.png")
    Image.fromarray(noise(9, 40, 60)).save(folder / "more" / "0.jpg")
    return folder


def table(file: Path | str) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def same_answers(one: Path, two: Path, count: int) -> None:
    """The same rows in the same order; other batches may round the last digits in another way."""
    read = pd.read_csv if one.suffix == ".csv" else partial(pd.read_json, lines=True)
    first, second = (read(file) for file in (one, two))
    assert len(first) == len(second) == count and list(first["image"]) == list(second["image"])
    assert len(set(first["image"])) == count
    for name in first.columns:
        if first[name].dtype.kind == "f":
            assert list(first[name]) == pytest.approx(list(second[name]), abs=1e-5)


# ---- what it says ----------------------------------------------------------------------------------------


def test_labels_are_those_of_the_api(cli: Cli, models: Path, photos: Path) -> None:
    model = visionkit.load(models / "single-label", device="cpu")
    result = cli(
        "predict", models / "single-label", photos, "--json", "--top", 3, "--probabilities", "--bs", 2
    )
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)
    assert [answer["image"] for answer in answers] == [
        *(str(photos / f"{number}.png") for number in range(5)),
        str(photos / "more" / "0.jpg"),
    ]
    for answer in answers:
        expected = model.predict(answer["image"])
        assert list(answer["probabilities"]) == list(model.vocab)
        assert list(answer["probabilities"].values()) == pytest.approx(expected.probabilities, abs=1e-6)
        assert answer["label"] == answer["top"][0]["label"] == expected.label
        assert [each["label"] for each in answer["top"]] == [label for label, _ in expected.top(3)]


@pytest.mark.parametrize("task", TASKS)
def test_lines_and_json_for_every_task(cli: Cli, models: Path, photos: Path, task: str) -> None:
    Image.fromarray(noise(5, 30, 30)).save(photos / "odd\x1b[31m\nname.png")
    result = cli("predict", models / task, photos)
    assert result.exit_code == 0, result.output
    assert "odd\\x1b[31m\\nname.png" in result.stdout and "\x1b" not in result.stdout
    assert str(photos / "more" / "0.jpg") in result.stdout.splitlines()
    answers = json.loads(cli("predict", models / task, photos, "--json").stdout)
    keys = {"single-label": "label", "multi-label": "tags", "segmentation": "shares", "keypoints": "points"}
    assert len(answers) == 7 and all(answer[keys[task]] is not None for answer in answers)
    if task == "segmentation":
        assert all(sum(answer["shares"].values()) == pytest.approx(1, abs=1e-5) for answer in answers)


def test_tags_by_threshold_and_by_expected_f2(cli: Cli, models: Path, photos: Path) -> None:
    def tags(*options: object) -> list[list[str]]:
        result = cli("predict", models / "multi-label", photos, "--json", *options)
        assert result.exit_code == 0, result.output
        answers = json.loads(result.stdout)
        for answer in answers:
            assert [each["tag"] for each in answer["chosen"]] == answer["tags"]
            if "0.35" in options:
                assert all(each["probability"] > each["threshold"] == 0.35 for each in answer["chosen"])
        return [answer["tags"] for answer in answers]

    model = visionkit.load(models / "multi-label", device="cpu")
    files = [*sorted(photos.glob("*.png")), photos / "more" / "0.jpg"]
    assert tags() == [list(said.tags) for said in model.predict(files)]
    probabilities = np.stack([said.probabilities for said in model.predict(files)])
    over = [[model.vocab[place] for place in np.flatnonzero(row > 0.35)] for row in probabilities]
    assert tags("--threshold", "0.35") == over
    model.description = model.description.replaced(decision="expected-f2")
    assert tags("--decision", "expected-f2") == [list(said.tags) for said in model.predict(files)]
    result = cli("predict", models / "multi-label", photos, "--out", "tags.csv", "--probabilities")
    assert result.exit_code == 0, result.output
    rows = table("tags.csv")
    assert [row["tags"].split() for row in rows] == tags()
    written = [[float(row[f"p_{name}"]) for name in model.vocab] for row in rows]
    assert np.abs(np.array(written) - probabilities).max() < 1e-6


def test_masks_overlays_and_shares(cli: Cli, models: Path, photos: Path) -> None:
    Image.fromarray(noise(6, 20, 30)).save(photos / "0.jpg")  # the same name but for its ending
    result = cli("predict", models / "segmentation", photos, "--out", "found")
    assert result.exit_code == 0 and result.stdout == "found\n", result.output
    model = visionkit.load(models / "segmentation", device="cpu")
    rows = table("found/shares.csv")
    assert [row["mask"] for row in rows][:2] == ["masks/0.png", "masks/0-2.png"]
    assert rows[-1]["mask"] == "masks/more/0.png" and len({row["mask"] for row in rows}) == 7
    for row in rows:
        said = model.predict(row["image"])
        with Image.open(Path("found") / row["mask"]) as mask, Image.open(row["image"]) as image:
            assert mask.mode == "P" and mask.size == image.size
            codes = np.asarray(mask)
            assert (codes == np.where(said.codes == -1, 255, said.codes)).mean() > 0.999
            assert mask.getpalette()[:3] != mask.getpalette()[3:6]
            with Image.open(Path("found/overlays") / Path(row["mask"]).relative_to("masks")) as over:
                assert over.width >= image.width and over.height > image.height  # with a legend below
                assert not np.array_equal(
                    np.asarray(over)[: image.height, : image.width], np.asarray(image.convert("RGB"))
                )
        shares = [float(row[f"share_{name}"]) for name in model.vocab]
        assert shares == pytest.approx(np.bincount(codes[codes < 255], minlength=12) / (codes < 255).sum())
    plain = cli("predict", models / "segmentation", photos, "--out", "plain", "--no-overlay")
    assert plain.exit_code == 0 and not Path("plain/overlays").exists()
    # pictures that an earlier call wrote are no images of the next
    inside = [cli("predict", models / "segmentation", photos, "--out", photos / "out") for _ in range(2)]
    assert [each.exit_code for each in inside] == [0, 0] and "nothing to do: 7 images" in inside[1].stderr


def test_points_and_their_pictures(cli: Cli, models: Path, photos: Path) -> None:
    result = cli("predict", models / "keypoints", photos, "--out", "found", "--overlay")
    assert result.exit_code == 0, result.output
    model = visionkit.load(models / "keypoints", device="cpu")
    for row in table("found/points.csv"):
        expected = model.predict(row["image"]).points[0]
        assert (float(row["x_1"]), float(row["y_1"])) == pytest.approx(tuple(expected), abs=1e-4)
        assert (Path("found") / row["overlay"]).is_file()
    assert cli("predict", models / "keypoints", photos, "--out", "points.csv").exit_code == 0
    assert list(table("points.csv")[0]) == ["image", "x_1", "y_1"]


# ---- the same as the training's validation ---------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["pets", "planet"], indirect=True)
def test_as_get_preds(cli: Cli, dataset: tuple[str, Path]) -> None:
    recipe, folder = dataset
    assert train_fast(cli, recipe, folder, "--out", "run").exit_code == 0
    learn, data = restore(Run.read(Path("run")), "cpu", Store(Path("store")))
    with learn.no_bar(), learn.no_logging():
        expected = learn.get_preds(ds_idx=1)[0].as_subclass(Tensor).numpy()
    images = [str(data.images[index]) for index in data.valid]
    result = cli("predict", "run", *images, "--probabilities", "--out", "p.jsonl", "--bs", 3)
    assert result.exit_code == 0, result.output
    answers = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert [answer["image"] for answer in answers] == images
    assert list(answers[0]["probabilities"]) == list(data.task.vocab(learn.dls))
    found = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert np.abs(found - expected).max() <= 1e-5


def test_masks_as_get_preds(cli: Cli, camvid: Path) -> None:
    assert train_fast(cli, "camvid", camvid, "--out", "run").exit_code == 0
    learn, data = restore(Run.read(Path("run")), "cpu", Store(Path("store")))
    with learn.no_bar(), learn.no_logging():
        expected = learn.get_preds(ds_idx=1)[0].argmax(dim=1).numpy()
    images = [str(data.images[index]) for index in data.valid]
    assert cli("predict", "run", *images, "--out", "found").exit_code == 0
    for row, codes in zip(table("found/shares.csv"), expected, strict=True):
        with Image.open(Path("found") / row["mask"]) as mask:
            assert (np.asarray(mask) == codes).mean() >= 0.999


# ---- what it takes ---------------------------------------------------------------------------------------


def test_runs_by_name_and_last(cli: Cli, photos: Path, tmp_path: Path) -> None:
    stored_run(Path("runs") / "first", "single-label", tmp_path, name="first")
    for name in ("first", "last", "runs/first", "runs/first/model", "runs/first/model/model.json"):
        result = cli("predict", name, photos / "0.png")
        assert result.exit_code == 0 and "probability" in result.stdout, result.output
    result = cli("predict", "frist", photos)
    assert result.exit_code == 2 and "Did you mean 'first'" in result.stderr
    assert cli("predict", photos, photos / "0.png").exit_code == 2


def test_a_column_of_paths(cli: Cli, models: Path, photos: Path) -> None:
    Path("list.csv").write_text("never mind\n")
    (photos / "list.csv").write_text(
        f"path;other\n0.png;a\nmore/0.jpg;b\n;c\n0.png;d\n{photos / '1.png'};e\ngone.png;f\n",
        encoding="utf-8",
    )
    result = cli(
        "predict", models / "single-label", photos / "list.csv", "--column", "path", "--out", "a.csv"
    )
    assert result.exit_code == 1 and "2 of 6 images could not be used" in result.stderr, result.output
    named = [Path(row["image"]).relative_to(photos).as_posix() for row in table("a.csv")]
    assert named == ["0.png", "more/0.jpg", "0.png", "1.png"]  # a row each, also of the same image
    assert [row["image"] for row in table("a.csv.failed.csv")] == [
        f"{photos / 'list.csv'}, row 4",
        str(photos / "gone.png"),
    ]
    for arguments, words in {
        (photos / "list.csv", "--column", "paths"): "'paths'",
        (photos, "--column", "path"): "--column is for CSV files",
        ("-", "--column", "path"): "--column reads CSV files",
    }.items():
        result = cli("predict", models / "single-label", *arguments)
        assert result.exit_code in (1, 2) and words in result.stderr, result.output


def test_a_list_on_standard_input(models: Path, photos: Path) -> None:
    from visionkit.cli.app import app

    call = ["predict", str(models / "single-label"), "-", "--json"]
    done = CliRunner().invoke(app, call, input=f"{photos / '1.png'}\n{photos}/*.jpg\n{photos / '0.png'}\r\n")
    assert done.exit_code == 1, done.output
    assert [Path(answer["image"]).name for answer in json.loads(done.stdout)] == ["1.png", "0.png"]
    assert "no file matches" in done.stderr


# ---- files that are gone on with -------------------------------------------------------------------------


def test_files_hold_the_same(cli: Cli, models: Path, photos: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        result = cli("predict", models / "single-label", photos, "--out", f"a.{ending}", "--top", 2)
        assert result.exit_code == 0 and result.stdout == f"a.{ending}\n", result.output
    rows, lines, parquet = (
        pd.read_csv("a.csv"),
        pd.read_json("a.jsonl", lines=True),
        pd.read_parquet("a.parquet"),
    )
    assert list(rows) == ["image", "label", "probability", "label_2", "probability_2"] == list(parquet)
    for other in (lines, parquet):
        assert list(rows["label"]) == list(other["label"]) and list(rows["image"]) == list(other["image"])
        assert list(rows["probability"]) == pytest.approx(list(other["probability"]), abs=1e-6)
    assert [top[1]["label"] for top in lines["top"]] == list(rows["label_2"])
    cli("predict", models / "multi-label", photos, "--out", "tags.parquet")
    tags = json.loads(cli("predict", models / "multi-label", photos, "--json").stdout)
    assert [list(each) for each in pd.read_parquet("tags.parquet")["tags"]] == [each["tags"] for each in tags]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_more_images_later(cli: Cli, models: Path, photos: Path, ending: str) -> None:
    out = f"a.{ending}"
    bad = photos / "bad.png"
    bad.write_text("no image")
    first = cli("predict", models / "single-label", photos / "3.png", bad, "--out", out)
    assert first.exit_code == 1 and table(f"{out}.failed.csv")[0]["reason"], first.output
    Image.fromarray(noise(7, 30, 30)).save(bad)
    second = cli("predict", models / "single-label", photos, "--out", out)
    assert second.exit_code == 0 and "6 new, 1 were there" in second.stderr, second.output
    assert not Path(f"{out}.failed.csv").exists()
    third = cli("predict", models / "single-label", photos, "--out", out)
    assert third.exit_code == 0 and "nothing to do: 7 images are in" in third.stderr
    readers = {"csv": pd.read_csv, "jsonl": lambda file: pd.read_json(file, lines=True)}
    found = readers.get(ending, pd.read_parquet)(out)
    assert sorted(found["image"]) == sorted(str(f) for f in photos.rglob("*.*") if f.suffix)
    assert len(found) == 7


def test_others_keep_their_files(cli: Cli, models: Path, photos: Path, tmp_path: Path) -> None:
    """Another model, other options, another folder, and files that visionkit did not write."""
    call = ["predict", models / "single-label", photos / "0.png", "--out", "a.csv"]
    assert cli(*call).exit_code == 0
    before = Path("a.csv").read_bytes()
    Path("own.csv").write_text("image\n")
    for changed, words in (
        (["predict", models / "multi-label", *call[2:]], "by another model"),
        ([*call, "--top", 2], "another columns and another top"),
        (["predict", models / "single-label", photos / "0.png", "--out", "own.csv"], "is there already"),
        (["predict", models / "single-label", photos / "0.png", "--out", photos], "name a file that ends in"),
        (["predict", models / "segmentation", photos / "0.png", "--out", photos], "is there already"),
    ):
        result = cli(*changed)
        assert result.exit_code == 2 and words in result.stderr, result.output
    Path("a.csv.predict.json").write_text("{")
    damaged = cli(*call)
    assert damaged.exit_code == 2 and "gone or damaged" in damaged.stderr
    assert Path("a.csv").read_bytes() == before and Path("own.csv").read_text() == "image\n"

    os.chdir(photos)
    assert cli("predict", models / "single-label", "0.png", "--out", tmp_path / "b.csv").exit_code == 0
    os.chdir(photos / "more")
    elsewhere = cli("predict", models / "single-label", "0.jpg", "--out", tmp_path / "b.csv")
    assert elsewhere.exit_code == 2 and f"was begun in {photos}" in elsewhere.stderr


def test_wrong_calls(cli: Cli, models: Path, photos: Path) -> None:
    Path("file").write_text("")
    for task, options, words in (
        ("single-label", ["--out", "a.txt"], "ends in .csv, .jsonl, .parquet"),
        ("single-label", ["--out", "none/a.csv"], "there is no folder none"),
        ("single-label", ["--out", "a.csv", "--json"], "give one of them"),
        ("single-label", ["--threshold", "0.3"], "--threshold is for tags"),
        ("single-label", ["--decision", "expected-f2"], "--decision is for tags"),
        ("single-label", ["--overlay", "--out", "a.csv"], "--overlay is for masks"),
        ("single-label", ["--top", "0"], "--top"),
        ("single-label", ["--device", "tpu"], "--device tpu"),
        ("multi-label", ["--top", "2"], "--top is for models with one label"),
        ("multi-label", ["--threshold", "0.3", "--decision", "expected-f2"], "takes no --threshold"),
        ("multi-label", ["--threshold", "1.5"], "--threshold"),
        ("segmentation", ["--probabilities"], "--probabilities is for labels"),
        ("segmentation", ["--overlay"], "give --out a folder"),
        ("segmentation", ["--overlay", "--out", "a.csv"], "give --out a folder"),
        ("segmentation", ["--out", "file"], "would be a folder"),
    ):
        result = cli("predict", models / task, photos, *options)
        assert result.exit_code == 2 and words in result.stderr, (options, result.output)
        assert "Traceback" not in result.output
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_nothing_usable_needs_no_weights(cli: Cli, models: Path, tmp_path: Path) -> None:
    description = tmp_path / "bundle" / "model.json"
    description.parent.mkdir()
    description.write_bytes((models / "single-label" / "model.json").read_bytes())
    result = cli("predict", description.parent, "gone.jpg", "nothing*", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout) == []
    assert "gone.jpg: there is no such file" in result.stderr and "no file matches" in result.stderr


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_anywhere_and_gone_on_with(cli: Cli, models: Path, photos: Path, data: st.DataObject) -> None:
    """A file that ends after any of its bytes is completed, and no image is there twice."""
    ending = data.draw(st.sampled_from(["csv", "jsonl"]))
    call = ["predict", models / "single-label", photos, "--out"]
    whole, cut = Path(f"whole.{ending}"), Path(f"cut.{ending}")
    if not whole.exists():
        Image.fromarray(noise(8, 30, 30)).save(photos / 'a,"b"\nc.png')
        assert cli(*call, whole).exit_code == 0
    content = whole.read_bytes()
    cut.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    Path(f"{cut}.predict.json").write_bytes(Path(f"{whole}.predict.json").read_bytes())
    result = cli(*call, cut)
    assert result.exit_code == 0, result.output
    same_answers(cut, whole, 7)


# ---- processes -------------------------------------------------------------------------------------------


def visionkit_process(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "visionkit", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single-label", "segmentation"])
def test_killed_again_and_again(models: Path, tmp_path: Path, task: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(300):
        Image.fromarray(noise(number, 40, 40)).save(photos / f"{number:03}.png")
    (photos / "150.png").write_text("no image")
    out = tmp_path / ("masks" if task == "segmentation" else "answers.csv")
    rows = out / "shares.csv" if task == "segmentation" else out
    call = ["predict", models / task, photos, "--bs", 4, "--out"]
    for least in (1, 60, 160):
        running = visionkit_process(*call, out)
        until = time.monotonic() + 120
        while not rows.exists() or rows.read_bytes().count(b"\n") <= least:
            assert running.poll() is None and time.monotonic() < until, running.communicate()
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert rows.read_bytes().count(b"\n") < 300
    last = visionkit_process(*call, out)
    _, errors = last.communicate()
    assert last.returncode == 1 and "were there" in errors, errors
    other = tmp_path / ("whole" if task == "segmentation" else "whole.csv")
    once = visionkit_process(*call, other)
    assert once.wait() == 1
    same_answers(rows, other / "shares.csv" if task == "segmentation" else other, 299)
    if task == "segmentation":
        names = [{path.relative_to(each) for path in each.rglob("*.png")} for each in (other, out)]
        assert names[0] == names[1] and len(names[0]) == 2 * 299
        for mask in (other / "masks").iterdir():
            with Image.open(mask) as one, Image.open(out / "masks" / mask.name) as two:
                assert (np.asarray(one) == np.asarray(two)).mean() > 0.999


def test_two_at_once_do_not_mix(cli: Cli, models: Path, photos: Path) -> None:
    from filelock import FileLock

    with FileLock(".a.csv.lock"):
        result = cli("predict", models / "single-label", photos, "--out", "a.csv")
    assert result.exit_code == 2 and "another visionkit is writing" in result.stderr
    assert cli("predict", models / "single-label", photos, "--out", "a.csv").exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a.csv", "a.csv.predict.json"]


def test_nothing_slow_is_imported(models: Path, photos: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from visionkit.cli import main\n"
        "for more in ([], ['--out', sys.argv.pop()]):\n"
        "    sys.argv += more\n"
        "    try: main()\n"
        "    except SystemExit as stop: assert not stop.code, stop.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} | "
        "{'torch._dynamo'} & set(sys.modules)))"
    )
    call = [sys.executable, "-c", program, "predict", str(models / "single-label"), str(photos / "0.png")]
    done = subprocess.run([*call, str(tmp_path / "a.csv")], capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "a.csv").is_file(), done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))
    assert "torch" in loaded, done.stderr
    slow = {
        "fastai",
        "fastcore",
        "pandas",
        "matplotlib",
        "sklearn",
        "scipy",
        "pyarrow",
        "requests",
        "kaggle",
    }
    assert not loaded & (slow | {"torch._dynamo"})


@pytest.mark.slow
def test_memory_does_not_grow(models: Path, photos: Path, tmp_path: Path) -> None:
    """Ten thousand images take no more memory than a thousand, but for their names."""
    program = (
        "import resource, sys; from visionkit.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for count in (1_000, 10_000):
        call = [sys.executable, "-c", program, "predict", str(models / "single-label"), "-"]
        call += ["--out", str(tmp_path / f"{count}.csv")]
        names = f"{photos / '0.png'}\n" * count
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(call, input=names, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert sum(1 for _ in (tmp_path / f"{count}.csv").open()) == count + 1
        peaks.append(int(done.stderr.splitlines()[-1]) * (1 if sys.platform == "darwin" else 1024))
    assert peaks[1] - peaks[0] < 30e6
