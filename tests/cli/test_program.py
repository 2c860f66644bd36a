"""The installed program, as a process of its own: start, help, quiet output, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "visionkit"]
TRAIN = ["--size", "32", "--arch", "squeezenet1_1", "--no-pretrained", "--workers", "0", "--bs", "4"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["recipes"], ["settings"], ["pets", "--help"], ["runs"], ["--version"]),
        ["cache", "clear", "--help"],
    ],
)
def test_starts_without_torch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom visionkit.cli import main\n"
        f"sys.argv = ['visionkit', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
        "print('LOADED', sorted({'torch', 'fastai', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout


def test_import_is_free_of_torch() -> None:
    code = "import sys, visionkit as v; v.Recipe; v.get_recipe('pets'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_names_recipes_and_commands() -> None:
    output = subprocess.run([*RUN, "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("pets", "planet", "camvid", "lr-find", "show", "plot", "export", "recipes", "runs"):
        assert word in output
    options = subprocess.run([*RUN, "planet", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--threshold" in options and "resnet50" in options and "--then" in options


def help_of(*arguments: str, columns: int = 80) -> str:
    call = [*RUN, *arguments, "--help"]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment).stdout


def panel(text: str, name: str) -> str:
    """What stands in the panel `name` of a help text, on one line; empty where there is none."""
    lines = text.partition(f"─ {name} ─")[2].partition("╰")[0].splitlines()[1:]
    return " ".join(" ".join(lines).replace("│", " ").split())


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "recipe",
    ["camvid", "csv", "dogscats", "fashionai", "folder", "headpose", "masks", "openimages", "pets", "planet"],
)
def test_help_of_a_recipe_is_whole_and_begins_with_its_own(recipe: str, columns: int) -> None:
    text = help_of(recipe, columns=columns)
    names = [line.partition("─ ")[2].partition(" ─")[0] for line in text.splitlines() if "╭─" in line]
    own = ["Recipe"] if recipe not in ("camvid", "planet") else []
    assert names[: 3 + len(own)] == ["Options", "Data", "Output", *own]
    words = [word for word in text.split() if word.endswith("…")]
    assert set(words) <= {"INTEGER…", "NAME…", "COLUMN…", "CODE…", "ATTRIBUTE…"}, "nothing is cut off"


def test_help_of_a_recipe_has_its_defaults_and_what_its_task_takes() -> None:
    pets, camvid, headpose = help_of("pets"), help_of("camvid"), help_of("headpose")
    assert panel(pets, "Recipe").startswith("--presize INTEGER")
    assert "Default: 13." in panel(headpose, "Recipe") and "Default: 0.01." in panel(headpose, "Stages")
    assert "cross-entropy, focal, bce (binary cross-entropy)" in panel(pets, "Loss")
    assert "dice" in panel(camvid, "Loss") and "dice" not in pets
    assert "--weighted-sampling" in camvid and "--mixup" not in camvid
    assert panel(headpose, "Loss").startswith("--ema") and "--loss" not in headpose
    text = " ".join(help_of().split())
    assert "`visionkit RECIPE --help` lists its options." in text and "key points" in text


def test_recipes_are_listed_whole_on_a_narrow_terminal() -> None:
    terminal = {**os.environ, "COLUMNS": "80", "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}
    call = [*RUN, "recipes"]
    text = subprocess.run(call, capture_output=True, text=True, check=True, env=terminal).stdout
    assert max(len(line) for line in text.splitlines() if "\x1b" not in line) <= 80
    for words in ("Oxford-IIIT", "non-commercial", "competition", "Understanding", "reference"):
        assert words in text, "not broken within a word"
    assert len(text.splitlines()) < 50


@pytest.mark.parametrize("report", [["--no-html"], pytest.param([], marks=pytest.mark.slow)])
def test_log_has_one_plain_line_an_epoch_and_no_warnings(
    report: list[str], pets: Path, tmp_path: Path
) -> None:
    call = [*RUN, "pets", "--data", str(pets), *TRAIN, "--epochs", "2", "--freeze-epochs", "0", *report]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    epochs = [line for line in done.stdout.splitlines() if " epoch " in line and "train_loss" in line]
    assert [line.split("epoch")[1].split()[0] for line in epochs] == ["1/2", "2/2"]
    assert "\r" not in done.stdout and "\x1b" not in done.stdout


@pytest.mark.slow
def test_visionkit_itself_gives_torch_no_cause_to_warn(pets: Path, tmp_path: Path) -> None:
    """--debug shows the libraries' warnings; $FORCE_COLOR, set in notebooks, makes no terminal of a pipe."""
    call = [*RUN, "--debug", "pets", "--data", str(pets), *TRAIN, "--epochs", "1"]
    environment = {**os.environ, "FORCE_COLOR": "1"}
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "requires_grad" not in done.stderr
    assert "epoch  1/1" in done.stdout and "\x1b[2K" not in done.stdout


def test_ctrl_c_leaves_an_interrupted_run(pets: Path, tmp_path: Path) -> None:
    call = [
        *RUN,
        "pets",
        "--data",
        str(pets),
        *TRAIN,
        "--epochs",
        "1000",
        "--freeze-epochs",
        "0",
        "--out",
        "run",
    ]
    process = subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where CI runs in the background
    )
    history = tmp_path / "run" / "history.csv"
    try:
        deadline = time.monotonic() + 120
        while not history.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "Traceback" not in output + errors
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert len(history.read_text().splitlines()) >= 2
    listed = subprocess.run([*RUN, "plot", "run"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert listed.returncode == 0 and (tmp_path / "run/plots/losses.png").is_file(), listed.stderr


@pytest.mark.slow
def test_unexpected_errors_are_one_message_and_debug_shows_more(pets: Path, tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "pets.py"
    broken = tmp_path / "broken.py"
    broken.write_text(recipe.read_text().replace("import fastai.vision.all as fv", "1 / 0"))
    call = [*RUN, str(broken), "--data", str(pets), *TRAIN]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "--debug" in done.stderr
    shown = subprocess.run(
        [*RUN, "--debug", *call[3:]], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert shown.returncode == 1 and "Traceback" in shown.stderr and "ZeroDivisionError" in shown.stderr
