"""Every setting: name, flag, type and limits, default, what it does, and which recipes differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sitegen.markdown import WIDE, code, table
from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.shared_settings import ArchiveSettings, CacheSettings, PathSettings

SHARED: dict[str, type[BaseModel]] = {
    "paths": PathSettings,
    "archives": ArchiveSettings,
    "cache": CacheSettings,
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "yes or no",
    "null": "nothing",
}


def settings_page(recipes: Sequence[Recipe]) -> str:
    """The page, made from the typed settings themselves."""
    parts = [
        WIDE + "# Settings",
        "A recipe's defaults are weaker than [settings.ini](guide/settings-file.md), the file is weaker than "
        "flags. In the file, a section `[training]` holds for all recipes, one with the recipe's name for "
        "that recipe, and `[RECIPE.sample]` where `--sample` is given. In Python the names are those of "
        "`TrainSettings`: `pets.train(size=128)`.",
        "## Training",
        "What every recipe has. Those that a task has no use for are refused with a reason, and not listed "
        "by its `--help`.",
    ]
    schema = TrainSettings.model_json_schema()
    for panel in dict.fromkeys(_panel(field) for field in TrainSettings.model_fields.values()):
        rows = [
            [
                _named(name),
                _flag(name, field),
                kind(schema["properties"][name]),
                _shown(field.default),
                field.description or "",
                _others(name, field.default, recipes),
            ]
            for name, field in TrainSettings.model_fields.items()
            if _panel(field) == panel
        ]
        parts += [
            f"### {panel}",
            table(("name", "flag", "values", "default", "what", "other defaults"), rows),
        ]
    parts += [
        "## Of single recipes",
        table(("recipe", "name", "flag", "values", "default", "what"), _own(recipes)),
    ]
    parts += [
        "## For all recipes",
        "These have no flags: they stand in settings.ini, in the section that is named.",
    ]
    for section, model in SHARED.items():
        properties = model.model_json_schema()["properties"]
        rows = [
            [
                _named(name, f"{section}-"),
                kind(properties[name]),
                _shown(field.default),
                field.description or "",
            ]
            for name, field in model.model_fields.items()
        ]
        parts += [f"### [{section}]", table(("name", "values", "default", "what"), rows)]
    return "\n\n".join(parts)


def own_settings(recipe: Recipe) -> list[list[str]]:
    """Name, default and purpose of the settings that not every training has."""
    return [
        [code(name), _shown(field.default), field.description or ""]
        for name, field in recipe.settings.model_fields.items()
        if name not in TrainSettings.model_fields
    ]


def recipe_defaults(recipe: Recipe) -> list[list[str]]:
    """The settings whose default is another than that of all trainings, or becomes so with `--sample`."""
    sample = recipe.sample.settings if recipe.sample is not None else {}
    rows = []
    for name, field in recipe.settings.model_fields.items():
        common = TrainSettings.model_fields.get(name)
        if (common is not None and common.default != field.default) or name in sample:
            rows.append([code(name), _shown(field.default), _shown(sample[name]) if name in sample else ""])
    return rows


def kind(schema: dict[str, Any]) -> str:
    """Type and limits of a value in words, from its JSON schema.

    Raises:
        ValueError: the schema has a form that is not known here.
    """
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(str(each)) for each in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    if schema.get("type") == "array":
        inner = kind(schema["items"]) if "items" in schema else "value"
        return f"list: {inner}"
    if schema.get("format") == "path":
        return "path"
    if schema.get("type") not in _TYPES:
        raise ValueError(f"a setting has a schema without a type that is known: {schema}")
    limits = [text.format(f"{schema[name]:g}") for name, text in _LIMITS.items() if name in schema]
    return ", ".join([_TYPES[schema["type"]], *limits])


def _own(recipes: Sequence[Recipe]) -> list[list[str]]:
    """A row for each setting that not every recipe has; recipes that have the same stand together."""
    found: dict[tuple[str, ...], list[str]] = {}
    for recipe in recipes:
        properties = recipe.settings.model_json_schema()["properties"]
        for name, field in recipe.settings.model_fields.items():
            if name not in TrainSettings.model_fields:
                row = (code(name), _flag(name, field), kind(properties[name]), _shown(field.default))
                found.setdefault((*row, field.description or ""), []).append(
                    f"[`{recipe.name}`](recipes/{recipe.name}.md)"
                )
    return [[", ".join(names), *row] for row, names in found.items()]


def _others(name: str, default: Any, recipes: Sequence[Recipe]) -> str:
    different: dict[str, list[str]] = {}
    for recipe in recipes:
        value = recipe.settings.model_fields[name].default
        if value != default:
            different.setdefault(_shown(value), []).append(f"[{recipe.name}](recipes/{recipe.name}.md)")
    return "; ".join(f"{value}: {', '.join(names)}" for value, names in different.items())


def _named(name: str, prefix: str = "") -> str:
    """The name, with an anchor that links can point at."""
    return f'<span id="{prefix}{name}"></span>`{name}`'


def _flag(name: str, field: FieldInfo) -> str:
    flag = name.replace("_", "-")
    return f"`--{flag}`, `--no-{flag}`" if field.annotation is bool else f"`--{flag}`"


def _panel(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["panel"]) if isinstance(extra, dict) else "Recipe"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return code("yes" if value else "no")
    if isinstance(value, (tuple, list)):
        return code(", ".join(map(str, value))) or "empty"
    return (
        "empty"
        if value is None or value == ""
        else code(f"{value:g}" if isinstance(value, float) else str(value))
    )
