"""What the program says of itself: its commands, its recipes and their help texts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from visionkit.cli.app import app
from visionkit.registry import recipe_names

COLUMNS = 100
GROUPS_OF_RECIPES = ("check", "show", "lr-find", "bench")
KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "SYSTEMROOT", "LD_LIBRARY_PATH")


@cache
def command_summaries() -> dict[str, str]:
    """Every command but the recipes, in the order of `visionkit --help`, with the first line of its help."""
    group: Any = typer.main.get_command(app)
    with group.make_context("visionkit", [], resilient_parsing=True) as context:
        names = [name for name in group.list_commands(context) if name not in recipe_names()]
        commands = {name: group.get_command(context, name) for name in names}
    return {
        name: (command.help or "").strip().partition("\n\n")[0].replace("\n", " ")
        for name, command in commands.items()
        if not command.hidden
    }


def subcommands(name: str) -> list[str]:
    """The subcommands of a command that has some which are not recipes: `list` and `clear` of `cache`."""
    group: Any = typer.main.get_command(app)
    with group.make_context("visionkit", [], resilient_parsing=True) as context:
        command = group.get_command(context, name)
        if not hasattr(command, "list_commands"):
            return []
        with command.make_context(name, [], parent=context, resilient_parsing=True) as inner:
            return [each for each in command.list_commands(inner) if each not in recipe_names()]


def environment(home: Path) -> dict[str, str]:
    """Of a program that is shown: a home folder of its own, no log-ins, no colours, lines of 100 columns."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    shown = {"HOME": str(home), "COLUMNS": str(COLUMNS), "TERM": "dumb", "NO_COLOR": "1"}
    return {"LANG": "C.UTF-8", "MPLBACKEND": "agg", "PYTHONUTF8": "1", **kept, **shown}


def visionkit(words: Sequence[str]) -> list[str]:
    """The words of a call of the program."""
    return [sys.executable, "-m", "visionkit", *words]


def help_text(home: Path, *words: str) -> str:
    """What `visionkit … --help` prints.

    Raises:
        RuntimeError: it fails.
    """
    done = subprocess.run(
        visionkit([*words, "--help"]),
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"visionkit {' '.join(words)} --help: {done.stderr.strip() or done.stdout}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n")
