"""`visionkit new` writes a recipe that runs at once, and never over anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FAST, SMALL_UNET, Cli

pytestmark = pytest.mark.usefixtures("unpainted")

LAYOUTS = {"single-label": "pets", "multi-label": "planet", "segmentation": "camvid"}


def as_the_starter_says(task: str, folder: Path) -> Path:
    """The small data set in the layout that the docstring of the new recipe describes."""
    if task == "single-label":
        for photo in (folder / "images").iterdir():
            breed = folder / photo.stem.rpartition("_")[0]
            breed.mkdir(exist_ok=True)
            photo.rename(breed / photo.name)
    if task == "multi-label":
        (folder / "train-jpg").rename(folder / "images")
        (folder / "train_v2.csv").rename(folder / "labels.csv")
    return folder


@pytest.mark.parametrize("task", LAYOUTS)
def test_a_new_recipe_trains_at_once(task: str, cli: Cli, request: pytest.FixtureRequest) -> None:
    written = cli("new", "mine", "--task", task)
    assert written.exit_code == 0, written.output
    assert "visionkit ./mine.py --sample" in written.output
    folder = as_the_starter_says(task, request.getfixturevalue(LAYOUTS[task]))
    small = SMALL_UNET if task == "segmentation" else []
    result = cli("./mine.py", "--data", folder, "--size", 36, *FAST, *small, "--out", "run")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert (info["recipe"], info["task"], info["status"]) == ("mine", task, "done")


@pytest.mark.slow
@pytest.mark.parametrize("task", LAYOUTS)
def test_a_new_recipe_has_a_sample(task: str, cli: Cli) -> None:
    name = f"mine_{task.replace('-', '_')}"  # samples are kept by the recipe's name
    assert cli("new", name, "--task", task).exit_code == 0
    checked = cli("check", f"./{name}.py", "--sample", "--json")
    assert checked.exit_code == 0, checked.output
    counts = json.loads(checked.stdout)["counts"]
    assert counts["valid"] > 20 and counts["classes"] >= 8


@pytest.mark.parametrize("task", LAYOUTS)
@pytest.mark.parametrize("name", ["a", "b" * 40])
def test_a_new_recipe_is_clean(task: str, name: str, cli: Cli) -> None:
    assert cli("new", name, "--task", task).exit_code == 0
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", Path(__file__).parents[2] / "pyproject.toml", f"{name}.py"]
    for call in ([*ruff, "check", *options], [*ruff, "format", "--check", *options]):
        done = subprocess.run(list(map(str, call)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("3x", ["'3x'", "letter first"]),
        ("a-b", ["'a-b'"]),
        ("class", ["'class'"]),
        ("../x", ["'../x'"]),
        ("pets", ["pets", "already"]),
    ],
)
def test_names_that_cannot_be(name: str, words: list[str], cli: Cli) -> None:
    result = cli("new", name)
    assert result.exit_code == 2
    assert all(word in " ".join(result.output.split()) for word in words), result.output
    assert not list(Path().iterdir())


def test_nothing_is_replaced(cli: Cli) -> None:
    Path("mine.py").write_text("precious")
    Path("link.py").symlink_to("nowhere")
    for name in ("mine", "link"):
        result = cli("new", name)
        assert result.exit_code == 2 and "nothing was touched" in result.output
    assert Path("mine.py").read_text() == "precious"
    assert not Path("nowhere").exists()


def test_another_folder(cli: Cli) -> None:
    assert cli("new", "mine", "--out", "there").exit_code == 2
    Path("there").mkdir()
    assert cli("new", "mine", "--out", "there").exit_code == 0
    assert Path("there/mine.py").is_file()


def test_other_packages_add_recipes(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entry-point group `visionkit.recipes`, as any installed package has it."""
    from visionkit import registry

    package = tmp_path / "site" / "their_recipes"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert cli("new", "beetles", "--out", package).exit_code == 0
    described = tmp_path / "site" / "their_recipes-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: their-recipes\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[visionkit.recipes]\nbeetles = their_recipes.beetles\npets = their_recipes.beetles\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry._modules.cache_clear()
    try:
        listed = cli("recipes")
        assert listed.exit_code == 0 and "beetles" in listed.output, listed.output
        assert registry.get_recipe("beetles").name == "beetles"
        assert registry.get_recipe("pets").name == "pets"  # ours cannot be replaced
        assert "What beetles is about" in cli("--help").output
    finally:
        monkeypatch.undo()
        registry._modules.cache_clear()
