"""What shells complete, asked as bash, zsh and fish ask; and the examples of the help texts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from visionkit.cli.app import app
from visionkit.cli.examples import COMMANDS, TRAINING
from visionkit.registry import recipe_names
from visionkit.runs import Run

PROGRAM = [sys.executable, "-c", "from visionkit.cli import main; main()"]


def asked(line: str, shell: str, folder: Path) -> list[str]:
    """What `shell` is told when Tab is pressed behind `line`."""
    words = line.split(" ")
    environment = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    told = subprocess.run(
        PROGRAM,
        env={**os.environ, "_VISIONKIT_COMPLETE": f"complete_{shell}", **environment},
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert told.stderr == ""
    separators = str.maketrans({"\t": "\n", '"': "\n", ":": "\n"})
    return told.stdout.translate(separators).split()


LINES = [
    ("visionkit plan", ["planet"]),
    ("visionkit rep", ["report", "reproduce"]),
    ("visionkit pets --preci", ["--precision"]),
    ("visionkit pets --precision b", ["bf16"]),
    ("visionkit camvid --loss d", ["dice"]),
    ("visionkit show pe", ["pets"]),
    ("visionkit data cam", ["camvid"]),
]


@pytest.mark.parametrize(
    ("line", "wanted", "shell"),
    [
        pytest.param(*each, shell, marks=[pytest.mark.slow] * (shell != "bash" and number not in (1, 3)))
        for number, each in enumerate(LINES)
        for shell in ("bash", "zsh", "fish")
    ],
)
def test_commands_options_and_values(line: str, wanted: list[str], shell: str, tmp_path: Path) -> None:
    found = asked(line, shell, tmp_path)
    assert set(wanted) <= set(found)
    assert "torch" not in found


def test_runs_where_the_settings_file_says(tmp_path: Path) -> None:
    """The newest first; nothing where there is none, or the settings file is broken."""
    assert asked("visionkit watch ", "bash", tmp_path) == []
    (tmp_path / "settings.ini").write_text("[paths]\nruns = mine\n")
    for age, name in enumerate(("pets-2", "pets-1", "camvid-1")):
        Run.create(tmp_path / "mine" / name, {})
        os.utime(tmp_path / "mine" / name, (1e9 - age, 1e9 - age))
    assert asked("visionkit watch ", "bash", tmp_path) == ["last", "pets-2", "pets-1", "camvid-1"]
    assert asked("visionkit compare last pets", "bash", tmp_path) == ["pets-2", "pets-1"]
    (tmp_path / "settings.ini").write_text("broken")
    assert asked("visionkit watch ", "bash", tmp_path) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_bash_itself(tmp_path: Path) -> None:
    """The script that is installed, sourced by bash."""
    program = tmp_path / "visionkit"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SHELL": "/bin/bash"}
    script = subprocess.run(
        [*PROGRAM], env={**environment, "_VISIONKIT_COMPLETE": "source_bash"}, capture_output=True, text=True
    ).stdout
    told = subprocess.run(
        ["bash", "-c", f"{script}\nCOMP_WORDS=(visionkit plan); COMP_CWORD=1\n"
         "_visionkit_completion visionkit plan visionkit; echo ${COMPREPLY[@]}"],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert told.stdout.split() == ["planet"], told.stderr


def calls() -> list[str]:
    own = [call for examples in COMMANDS.values() for call, _ in examples]
    return [*own, *(call.format(recipe) for recipe in recipe_names() for call, _ in TRAINING)]


@pytest.mark.parametrize("call", calls())
def test_examples_are_calls(call: str) -> None:
    """Commands, options and values of the help texts' examples exist."""
    words = shlex.split(call.partition(">")[0])
    command: Any = typer.main.get_command(app)
    context = command.make_context("visionkit", list(words[1:]), resilient_parsing=False)
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


def test_every_command_has_examples() -> None:
    command: Any = typer.main.get_command(app)
    context = command.make_context("visionkit", ["recipes"])
    names = [name for name in command.list_commands(context) if name not in recipe_names()]
    assert set(names) <= set(COMMANDS)
    for name in names:
        assert "Example" in (command.get_command(context, name).epilog or ""), name
