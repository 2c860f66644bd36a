"""The recipe and the settings that a run was trained with, from what its run.json says."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from visionkit.errors import UsageError, VisionkitError
from visionkit.registry import get_recipe
from visionkit.runs import RUN_FILE, Run

if TYPE_CHECKING:
    from visionkit.recipe import Recipe
    from visionkit.settings import TrainSettings


def recorded_recipe(run: Run) -> Recipe:
    """The recipe of `run`. Where it is a file, that file is Python, and is executed.

    So that a run folder from elsewhere cannot bring a program along, the file must be named by its whole
    path, as visionkit writes it, and lie outside of the run folder.

    Raises:
        UsageError: there is no such recipe any more.
        VisionkitError: run.json names none, or a file that came with the run.
    """
    place, file = run.path / RUN_FILE, run.info.get("recipe_file")
    if file is not None:
        if "\0" in file or not os.path.isabs(file) or Path(file).resolve().is_relative_to(run.path.resolve()):
            raise VisionkitError(
                f"{place}: entry recipe_file: {file}: a Python file that may have come with the run is not "
                "executed. Put it elsewhere, look at what it does, and write its whole path there."
            )
        if not file.endswith(".py"):
            raise VisionkitError(
                f"{place}: entry recipe_file: {file}: no recipe file; their names end in .py."
            )
        return get_recipe(file)
    name = run.info.get("recipe", "")
    if not name:
        raise VisionkitError(f"{place}: damaged, or of another version: it names no recipe.")
    if name.endswith(".py"):  # which would be a path
        raise UsageError(f"{place}: entry recipe: {name}: not the name of a recipe.")
    return get_recipe(name)


def recorded_settings(run: Run, recipe: Recipe) -> TrainSettings:
    """The settings of `run`.

    Raises:
        VisionkitError: they are not the recipe's; the message names the entry.
    """
    try:
        return recipe.settings.model_validate(run.info["settings"])
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        entry = ".".join(map(str, ("settings", *first["loc"])))[:200]
        raise VisionkitError(
            f"{run.path / RUN_FILE}: damaged, or of another version: entry {entry}: {first['msg']}."
        ) from None


def licence_in(file: Path) -> str:
    """The licence that a recipe file states as plain text; nothing in the file is executed."""
    try:
        parsed = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    for call in ast.walk(parsed):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Recipe":
            for given in call.keywords:
                if given.arg == "licence" and isinstance(given.value, ast.Constant):
                    return str(given.value.value)
    return ""
