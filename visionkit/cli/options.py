"""A recipe's settings as command-line options."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from visionkit.recipe import Recipe

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class ManyValuesCommand(TyperCommand):
    """A command whose options for several values also take them in a row: `--then 192 256`."""

    many: frozenset[str] = frozenset()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._repeated(args))

    def _repeated(self, args: list[str]) -> list[str]:
        """`--then 192 256` as `--then 192 --then 256`."""
        repeated: list[str] = []
        option = ""
        for arg in args:
            if arg.startswith("-"):
                option = arg if arg in self.many else ""
            elif option and repeated[-1] != option:
                repeated.append(option)
            repeated.append(arg)
        return repeated


def recipe_command(recipe: Recipe, action: Callable[..., None]) -> TyperCommand:
    """The command that does `action` with `recipe`: its options are its own and the recipe's settings.

    `action` is called as `action(recipe, flags, …)`, where `flags` has the text of the settings that were
    given, and the rest are the keyword-only parameters that it declares as Typer options.
    """
    fields = recipe.settings.model_fields
    hints = get_type_hints(action, localns={"Recipe": Recipe}, include_extras=True)
    declared = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(action).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and (parameter.name != "listed" or recipe.listing is not None)
    ]

    def run(**given: Any) -> None:
        common = {parameter.name: given.pop(parameter.name) for parameter in declared}
        flags = {name: value for name, value in given.items() if value is not None and value != []}
        for name, value in flags.items():
            if isinstance(value, list):
                flags[name] = ",".join(value)
        action(recipe, flags, **common)

    parameters = [*declared, *map(_option, fields, fields.values())]
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010  (what Typer reads)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = (
        f"{(action.__doc__ or '').strip()}\n\n{recipe.dataset}; {recipe.task}. Reference: {recipe.headline}."
    )
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(recipe.name, cls=ManyValuesCommand)(run)
    command = typer.main.get_command(app)
    assert isinstance(command, ManyValuesCommand)
    command.many = frozenset(_flag(name) for name, field in fields.items() if _is_many(field))
    return command


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """One setting. Its text is read by the settings' own types, so that flags and settings.ini are told the
    same.
    """
    extra = field.json_schema_extra
    panel = str(extra["panel"]) if isinstance(extra, dict) else "Recipe"
    flag = _flag(name)
    named = {True: flag[2:], False: f"no-{flag[2:]}"}  # as it is said on the command line
    shown = _shown(named[field.default] if isinstance(field.default, bool) else field.default)
    text = f"{field.description} Default: {shown}." if shown else field.description
    if field.annotation is bool:
        option = typer.Option(f"{flag}/--no-{flag[2:]}", help=text, rich_help_panel=panel, show_default=False)
        return _parameter(name, bool | None, option, None)
    option = typer.Option(flag, help=text, rich_help_panel=panel, metavar=_metavar(field), show_default=False)
    if _is_many(field):
        return _parameter(name, list[str], option, [])
    return _parameter(name, str | None, option, None)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, annotation=Annotated[kind, option], default=default)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return "" if default is None else str(default)


def _kinds(field: FieldInfo) -> list[Any]:
    """The types that a field's annotation is made of."""
    pending: list[Any] = [field.annotation]
    found: list[Any] = []
    while pending:
        kind = pending.pop()
        if get_origin(kind) is Annotated:
            pending.append(get_args(kind)[0])
        elif (
            isinstance(kind, types.UnionType)
            or get_origin(kind) is Literal
            or str(get_origin(kind)).endswith("Union")
        ):
            found += [arg for arg in get_args(kind) if isinstance(arg, str)]
            pending += [arg for arg in get_args(kind) if not isinstance(arg, str)]
        else:
            found.append(kind)
    return found


def _is_many(field: FieldInfo) -> bool:
    return any(get_origin(kind) is tuple for kind in _kinds(field))


def _metavar(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("metavar"):
        return str(extra["metavar"])
    names = {int: "INTEGER", float: "NUMBER", str: "NAME", Path: "FILE"}
    parts = []
    for kind in _kinds(field):
        if isinstance(kind, str):
            parts.append(kind)
        elif get_origin(kind) is tuple:
            parts.append("INTEGER…")
        elif kind is not types.NoneType:
            parts.append(names.get(kind, "TEXT"))
    return "|".join(dict.fromkeys(parts))
