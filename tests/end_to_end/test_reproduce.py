"""`visionkit reproduce`: trained again, a run comes out the same to the last digit; what differs is said."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FAST, SIZES, Cli, noise, train_fast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.errors import VisionkitError
from visionkit.progress import Silence
from visionkit.runs import Run
from visionkit.sources.base import Store

pytestmark = pytest.mark.usefixtures("unpainted")

TRAININGS = [
    ("pets", ["--workers", 1, "--mixup", 0.4, "--cutmix", 1, "--ema", 0.9, "--weighted-sampling"]),
    (
        "planet",
        [
            "--then",
            40,
            "--workers",
            2,
            "--precision",
            "bf16",
            "--split",
            "stratified",
            "--class-weights",
            "auto",
        ],
    ),
    pytest.param("camvid", ["--then", "", "--loss", "dice"], marks=pytest.mark.slow),
]


def history(run: str) -> list[list[str]]:
    with open(f"{run}/history.csv", newline="") as file:
        return [row[:-3] for row in csv.reader(file)]  # without times


@pytest.mark.parametrize(("dataset", "options"), TRAININGS, indirect=["dataset"])
def test_the_same_to_the_last_digit(cli: Cli, dataset: tuple[str, Path], options: list[object]) -> None:
    name, folder = dataset
    result = cli(name, "--data", folder, "--size", SIZES[name], *FAST, *options, "--out", "first")
    assert result.exit_code == 0, result.output
    result = cli("reproduce", "first", "--out", "second")
    assert result.exit_code == 0, result.output
    assert "identical to the last digit" in result.output
    first, second = (json.loads(Path(run, "run.json").read_text()) for run in ("first", "second"))
    assert first["metrics"] == second["metrics"]
    assert history("first") == history("second") and len(history("first")) > 1
    for file in ("split.csv", "batches.csv", "model/model.safetensors"):
        assert Path("first", file).read_bytes() == Path("second", file).read_bytes()
    assert second["reproduces"] == "first"
    assert second["reproduction"]["identical"] is True
    assert {key: value for key, value in second["settings"].items() if key != "device"} == {
        **{key: value for key, value in first["settings"].items() if key != "device"},
        "precision": first["precision"],
    }


@pytest.mark.slow
def test_another_process_with_other_threads(cli: Cli, planet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads change the last digits: those of the run are taken, whatever the environment says."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        result = train_fast(cli, "planet", planet, "--out", "first")
    finally:
        torch.set_num_threads(before)
    assert result.exit_code == 0, result.output
    assert json.loads(Path("first/run.json").read_text())["machine"]["threads"] == 2
    call = [sys.executable, "-m", "visionkit", "reproduce", "first", "--out", "second"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical to the last digit" in done.stdout and "cpu (2 threads)" in done.stdout


SAMPLED = '''
"""Squares that are bright or dark."""

import numpy as np
import fastai.vision.all as fv
from PIL import Image

from visionkit.recipe import Recipe, Sample
from visionkit.settings import ClassifierSettings


def draw(folder, seed):
    for number in range(12):
        kind = ("dark", "bright")[number % 2]
        pixels = np.random.default_rng([seed, number]).integers(0, 128, (32, 32, 3)) + 127 * (number % 2)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{kind}_{number}.png")


def datablock(path, settings):
    return fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock),
        get_items=lambda folder: sorted(folder.glob("*.png")),
        get_y=lambda file: file.stem.partition("_")[0],
        splitter=fv.RandomSplitter(0.5, seed=settings.seed),
        item_tfms=fv.Resize(settings.size),
    )


recipe = Recipe(
    name="squares", task="single-label", dataset="squares", licence="", headline="", source=None,
    datablock=datablock, settings=ClassifierSettings, sample=Sample(draw, {"size": 32}),
)
'''


def test_a_sample_that_is_gone_is_drawn_again(cli: Cli) -> None:
    Path("squares.py").write_text(SAMPLED)
    result = cli("./squares.py", "--sample", *FAST, "--seed", 7, "--out", "first")
    assert result.exit_code == 0, result.output
    drawn = Path(json.loads(Path("first/run.json").read_text())["data"]["path"])
    shutil.rmtree(drawn)
    result = cli("reproduce", "first", "--out", "second")
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC" in result.output and "identical to the last digit" in result.output
    assert json.loads(Path("second/run.json").read_text())["synthetic"] is True
    assert drawn.is_dir()

    Path("squares.py").write_text(SAMPLED.replace("range(12)", "range(14)"))
    shutil.rmtree(drawn)
    result = cli("reproduce", "first", "--check-only")
    assert result.exit_code == 1
    rows = {line.split()[0] for line in result.output.splitlines() if "other results" in line}
    assert rows == {"recipe", "data"}


World = Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a recipe file, whose settings name four files, and all of those."""
    import torchvision

    from visionkit.registry import get_recipe

    folder = tmp_path_factory.mktemp("trained")
    (folder / "data" / "images").mkdir(parents=True)
    for number in range(20):
        breed = ("beagle", "Sphynx")[number % 2]
        picture = noise(number, 40, 36) // 3 + 80 * (number % 2)
        Image.fromarray(picture).save(folder / f"data/images/{breed}_{number}.png")
    torch.manual_seed(1)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), folder / "body.pth")
    (folder / "valid.txt").write_text("beagle_0.png\nSphynx_1.png\nSphynx_3.png\n")
    (folder / "skip.txt").write_text("images/beagle_2.png\n")
    (folder / "weights.csv").write_text("class,weight\nbeagle,1\nSphynx,3\n")
    source = (Path(__file__).parents[2] / "recipes" / "pets.py").read_text()
    (folder / "mine.py").write_text(source.replace('name="pets"', 'name="mine"'))
    get_recipe(str(folder / "mine.py")).train(
        folder / "data",
        out=folder / "run",
        arch="squeezenet1_1",
        size=32,
        bs=4,
        workers=0,
        precision="fp32",
        freeze_epochs=(1,),
        epochs=(1,),
        weights=folder / "body.pth",
        split=str(folder / "valid.txt"),
        skip=folder / "skip.txt",
        class_weights=folder / "weights.csv",
    )
    return folder


@pytest.fixture
def world(trained: Path, tmp_path: Path) -> World:
    """A copy of `trained` to spoil."""
    folder = tmp_path / "world"
    shutil.copytree(trained, folder)
    file = folder / "run" / "run.json"
    file.write_text(file.read_text().replace(str(trained), str(folder)))
    return folder


def edit(world: World, **entries: object) -> None:
    """Change entries of run.json, at any depth, as in `versions={"torch": "1.0"}`; None removes one."""
    file = world / "run" / "run.json"

    def merge(into: dict[str, object], changes: dict[str, object]) -> None:
        for name, value in changes.items():
            if value is None:
                into.pop(name)
            elif isinstance(value, dict):
                merge(into[name], value)  # type: ignore[arg-type]
            else:
                into[name] = value

    info = json.loads(file.read_text())
    merge(info, entries)
    file.write_text(json.dumps(info))


def differences(cli: Cli, world: World, *options: object) -> dict[str, str]:
    """What `--check-only` lists: the row of each thing; the exit code is 1 exactly if there are some."""
    result = cli("reproduce", world / "run", "--check-only", *options)
    assert result.exit_code in (0, 1) and "Error" not in result.output, result.output
    rows = [line.strip() for line in result.output.splitlines()]
    found = {
        row.split("  ")[0]: row
        for row in rows
        if row.endswith(("other results", "perhaps other digits", "no difference"))
    }
    assert result.exit_code == (1 if found else 0)
    assert bool(found) != ("nothing differs" in result.output)
    return found


def test_nothing_differs(cli: Cli, world: World) -> None:
    before = sorted(world.rglob("*"))
    assert differences(cli, world) == {}
    assert sorted(world.rglob("*")) == before and not Path("runs").exists()


def _flip_a_pixel(file: Path) -> None:
    """Another picture in a file of the same size in bytes."""
    size = file.stat().st_size
    content = bytearray(file.read_bytes())
    with Image.open(file) as picture:
        pixels = np.asarray(picture).copy()
    for value in range(256):
        pixels[0, 0, 0] = value
        Image.fromarray(pixels).save(file)
        if file.stat().st_size == size and file.read_bytes() != content:
            return
    raise AssertionError("no other picture of this size found")


CHANGES = {
    "an image is gone": (lambda world: (world / "data/images/beagle_4.png").unlink(), "data"),
    "an image is new": (
        lambda world: shutil.copy(world / "data/images/beagle_4.png", world / "data/images/beagle_40.png"),
        "data",
    ),
    "an image is another": (
        lambda world: _flip_a_pixel(world / "data/images/beagle_4.png"),
        "contents of the data",
    ),
    "the recipe": (lambda world: (world / "mine.py").open("a").write("# more\n"), "recipe"),
    "the weights": (lambda world: (world / "body.pth").open("ab").write(b"\0"), "--weights"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_results_is_refused(cli: Cli, world: World, change: str) -> None:
    spoil, row = CHANGES[change]
    spoil(world)
    found = differences(cli, world)
    assert [each.split()[0] for each in found] == [row.split()[0]]
    assert next(iter(found.values())).endswith("other results")
    result = cli("reproduce", world / "run", "--out", "again")
    assert result.exit_code == 1
    assert f"not as it was: {row}" in result.output and "--force" in result.output
    assert not Path("again").exists()


def test_force_trains_on_other_data_and_says_what_differs(cli: Cli, world: World) -> None:
    for number in (4, 6, 8):
        picture = noise(number + 50, 44, 30)
        Image.fromarray(picture).save(world / f"data/images/beagle_{number}.png")
    result = cli("reproduce", world / "run", "--out", "again", "--force")
    assert result.exit_code == 1, result.output
    assert "differs from run: " in result.output and "stage 1, epoch 1: valid_loss" in result.output
    told = json.loads(Path("again/run.json").read_text())["reproduction"]
    assert told["identical"] is False and told["same_weights"] is False
    assert [each["what"] for each in told["differences"]] == ["data"]


GONE = {
    "data": ["--data", "data"],
    "mine.py": ["recipe file", "mine.py"],
    "body.pth": ["--weights", "body.pth"],
}


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_is_named(cli: Cli, world: World, name: str) -> None:
    (world / name).rename(world / "elsewhere")
    for options in ([], ["--check-only"], ["--force"]):
        result = cli("reproduce", world / "run", *options)
        assert result.exit_code == 1 and "no longer there" in result.output
        assert all(word in result.output.replace("\n", "") for word in GONE[name])
    assert not Path("runs").exists()


def test_data_that_has_moved(cli: Cli, world: World) -> None:
    (world / "data").rename(world / "elsewhere")
    assert differences(cli, world, "--data", world / "elsewhere") == {}


def test_lists_that_are_gone_are_in_the_run(cli: Cli, world: World) -> None:
    for name in ("valid.txt", "skip.txt"):
        (world / name).unlink()
    (world / "weights.csv").write_text("class,weight\nbeagle,9\nSphynx,1\n")
    found = differences(cli, world)
    assert {name.split()[0] for name in found} == {"--split", "--skip", "--class-weights"}
    assert all("the run's copy is taken" in row and row.endswith("no difference") for row in found.values())
    result = cli("reproduce", world / "run", "--out", "again")
    assert result.exit_code == 0 and "identical to the last digit" in result.output, result.output
    for name in ("split.csv", "skip.txt", "class_weights.json"):
        assert Path("again", name).read_bytes() == (world / "run" / name).read_bytes()


def test_a_split_that_would_be_drawn_otherwise(cli: Cli, pets: Path) -> None:
    assert train_fast(cli, "pets", pets, "--out", "run").exit_code == 0
    split = Path("run/split.csv")
    head, first, second, *rest = split.read_bytes().split(b"\r\n")
    split.write_bytes(b"\r\n".join([head, second, first, *rest]))
    result = cli("reproduce", "run", "--out", "again")
    assert "the run's copy is taken" in result.output
    assert Path("again/split.csv").read_bytes() == split.read_bytes()


@pytest.mark.parametrize(
    ("entries", "row", "effect"),
    [
        ({"versions": {"torch": "1.0"}}, "torch", "perhaps other digits"),
        ({"versions": {"fastai": "1.0"}}, "fastai", "perhaps other digits"),
        ({"versions": {"python": "3.9.1"}}, "python", "perhaps other digits"),
        ({"versions": {"timm": "0.1"}}, None, ""),  # has no part in a network of torchvision's
        ({"code": "0123456789abcdef"}, "visionkit", "perhaps other digits"),
        ({"git_commit": "0" * 40}, None, ""),  # the code is the same
        ({"code": None, "git_commit": "0" * 40}, "visionkit", "perhaps other digits"),
        ({"machine": {"processor": "Z80"}}, "processor", "perhaps other digits"),
        ({"machine": {"os": "Windows 95"}}, "os", "perhaps other digits"),
        ({"machine": {"device": "cuda:99"}, "device": "GPU of theirs"}, "device", "other results"),
        ({"precision": "fp16"}, "precision", "other results"),
    ],
)
def test_code_and_machine(
    cli: Cli, world: World, entries: dict[str, object], row: str | None, effect: str
) -> None:
    edit(world, **entries)
    found = differences(cli, world)
    assert list(found) == ([] if row is None else [row])
    assert all(each.endswith(effect) for each in found.values())


def test_a_run_of_an_older_visionkit(cli: Cli, world: World) -> None:
    """What was not recorded is said, and the rest compared."""
    edit(world, machine=None, files=None, code=None, git_changed=None, recipe_sha256=None)
    edit(world, data={"contents": None})
    found = differences(cli, world)
    assert list(found) == ["visionkit", "threads and workers"]
    assert all("not recorded" in row for row in found.values())
    assert cli("reproduce", world / "run", "--out", "again").exit_code == 0


def test_other_figures_are_listed(cli: Cli, world: World) -> None:
    """The same machine and other figures: exit code 1."""
    edit(world, metrics={"accuracy": 0.123456789})
    history_file = world / "run" / "history.csv"
    with history_file.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[-1][rows[0].index("valid_loss")] = "9.000000"
    with history_file.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    result = cli("reproduce", world / "run", "--out", "again")
    assert result.exit_code == 1
    assert "differs from run: 1 of 2 final figures, 1 of 2 epochs" in result.output
    assert "0.123456789" in result.output and "stage 2, epoch 1: valid_loss" in result.output
    assert "the weights" not in result.output


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"status": "interrupted"}, "interrupted"),
        ({"status": "failed"}, "failed"),
        ({"metrics": {"accuracy": "high"}}, "metrics.accuracy"),
        ({"data": {"fingerprint": None}}, "data.fingerprint"),
        ({"machine": {"threads": 0}}, "machine.threads"),
        ({"settings": {"size": -3}}, "size"),
        ({"settings": {"sizes": 3}}, "sizes"),
        ({"settings": {"loss": "dice"}}, "dice"),
        ({"settings": {"arch": "resnet0"}}, "resnet0"),
        ({"recipe_file": 7}, "recipe_file"),
    ],
)
def test_hand_damaged_run_json(cli: Cli, world: World, entries: dict[str, object], words: str) -> None:
    edit(world, **entries)
    for options in (["--check-only"], ["--force", "--out", "again"]):
        result = cli("reproduce", world / "run", *options)
        assert result.exit_code in (1, 2) and words in result.output, result.output
        assert "Error" in result.output and "unexpected" not in result.output
    assert not Path("again").exists()


def test_damaged_files_of_the_run(cli: Cli, world: World) -> None:
    (world / "run" / "history.csv").write_bytes(b"stage,\xff\xfe\n1,2\n")
    result = cli("reproduce", world / "run")
    assert result.exit_code == 1 and "history.csv" in result.output
    (world / "run" / "run.json").write_text("[]")
    result = cli("reproduce", world / "run")
    assert result.exit_code == 1 and "run.json" in result.output


def test_calls_that_cannot_be(cli: Cli, world: World) -> None:
    assert cli("reproduce", "nothing").exit_code == 2
    result = cli("reproduce", world / "run", "--check-only", "--out", "again")
    assert result.exit_code == 2 and "--check-only" in result.output
    result = cli("reproduce", world / "run", "--out", world / "run")
    assert result.exit_code == 2 and "holds a run" in result.output


DAMAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_of_run_json_is_one_message(trained: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in an entry, there is a plan, or one message and no traceback."""
    from visionkit.training.reproducing import plan_reproduction

    info = json.loads((trained / "run/run.json").read_text())
    place, key = info, data.draw(st.sampled_from(sorted(info)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(DAMAGE)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    for name in ("split.csv", "skip.txt", "class_weights.json", "history.csv"):
        shutil.copy(trained / "run" / name, folder / name)
    (folder / "run.json").write_text(json.dumps(info))
    try:
        plan = plan_reproduction(Run.read(folder), store=Store(tmp_path / "store", Silence()))
    except VisionkitError:
        return
    assert plan.folder == trained / "data"
