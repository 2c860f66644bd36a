"""settings.ini as visionkit would write it: every setting with its built-in default, explained."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.shared_settings import ArchiveSettings, CacheSettings, PathSettings

_HEAD = """\
# visionkit's settings. They are in force when visionkit runs in the folder of this file, or is told
# `--settings FILE`. What stands here are the built-in defaults: change a value, or delete a line to have the
# default.
#
# A setting in a recipe's section beats the one in [training], and a flag on the command line beats both.
# With --sample, the section [RECIPE.sample] beats [RECIPE]: samples are small and train from scratch.
# A key that does not exist, or a value of the wrong type, is an error. Lists are separated by commas; an
# empty value means "not set".
"""


def settings_template(recipes: list[Recipe]) -> str:
    """The text of a settings file with all settings of `recipes` at their defaults.

    `[training]` has the settings whose default is the same for all of them, a recipe's section the others.
    """
    shared = {
        name: field
        for name, field in TrainSettings.model_fields.items()
        if all(recipe.settings.model_fields[name].default == field.default for recipe in recipes)
    }
    sections = [
        _section(name, model, {key: field.default for key, field in model.model_fields.items()})
        for name, model in (("paths", PathSettings), ("archives", ArchiveSettings), ("cache", CacheSettings))
    ]
    sections.append(
        _section("training", TrainSettings, {name: field.default for name, field in shared.items()})
    )
    for recipe in recipes:
        own = {
            name: field.default for name, field in recipe.settings.model_fields.items() if name not in shared
        }
        sections.append(_section(recipe.name, recipe.settings, own))
        if recipe.sample is not None and recipe.sample.settings:
            sections.append(_section(f"{recipe.name}.sample", recipe.settings, recipe.sample.settings))
    return "\n".join([_HEAD, *sections])


def _section(name: str, model: type[BaseModel], values: Any) -> str:
    lines = [f"[{name}]"]
    for key, value in values.items():
        lines += [f"# {model.model_fields[key].description}", f"{key} = {_text(value)}".rstrip()]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
