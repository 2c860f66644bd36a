"""The recipes there are: visionkit's own, those of other packages, and files named on the command line."""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from visionkit.errors import UsageError, nearest

if TYPE_CHECKING:
    from visionkit.recipe import Recipe

ENTRY_POINTS = "visionkit.recipes"


@cache  # scanning the installed packages for entry points takes tens of milliseconds
def _modules() -> dict[str, str]:
    """Recipe name -> module, without importing any; visionkit's own come first and cannot be replaced."""
    package = import_module(
        "visionkit.recipes"
    )  # the folder recipes/, which setuptools installs by this name
    found = {module.name: f"{package.__name__}.{module.name}" for module in iter_modules(package.__path__)}
    for entry in entry_points(group=ENTRY_POINTS):
        found.setdefault(entry.name, entry.module)
    return found


def recipe_names() -> list[str]:
    """The names that `get_recipe` knows, in alphabetical order."""
    return sorted(_modules())


def recipe_summary(name: str) -> str:
    """The first line of a recipe's docstring, read from its file without importing it."""
    spec = find_spec(_modules()[name])
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`, or the one that the Python file `name` defines.

    Raises:
        UsageError: there is no such recipe or file, or it defines none.
    """
    if name.endswith(".py"):
        return _recipe_of(_import_file(Path(name)), name)
    modules = _modules()
    if name not in modules:
        raise UsageError(f"there is no recipe {name!r}.{nearest(name, sorted(modules))}")
    return _recipe_of(import_module(modules[name]), name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such recipe file.")
    spec = spec_from_file_location(f"visionkit_recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise UsageError(
            f"{path}: the recipe file cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


def _recipe_of(module: ModuleType, name: str) -> Recipe:
    from visionkit.recipe import Recipe

    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name}: defines no recipe: it needs a line `recipe = Recipe(name=…, …)`.")
    return recipe


def recipe_file(recipe: Recipe) -> str | None:
    """The file of a recipe that was read from one; None for installed recipes, which are found by name."""
    path = Path(recipe.datablock.__code__.co_filename).resolve()
    installed = recipe.name in _modules() and get_recipe(recipe.name) is recipe
    return None if installed else str(path)
