"""A recipe's settings as command-line options."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from visionkit.cli.completion import completing
from visionkit.cli.examples import recipe_examples
from visionkit.recipe import Recipe
from visionkit.tasks.options import LOSSES, goes_with

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


LONGEST_DEFAULT = 30
"""Characters of a default that is shown: an address would be cut off in the middle on a narrow terminal."""


class RecipeCommand(TyperCommand):
    """A command whose options for several values also take them in a row: `--then 192 256`.

    Its help text does without the `--no-…` of what is off anyway, which takes the room of the explanations.
    """

    many: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._repeated(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        shown = copy.copy(self)
        shown.params = [copy.copy(param) for param in self.params]
        for param in shown.params:
            if param.name in self.off:
                param.secondary_opts = []
        super(RecipeCommand, shown).format_help(ctx, formatter)

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

    own = sorted(fields, key=lambda name: _panel(fields[name]) != "Recipe")
    task = None if recipe.task_of is not None else recipe.task
    parameters = [*declared, *(_option(name, fields[name], task) for name in own)]
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
    epilog = recipe_examples(recipe.name, action.__name__)
    app.command(recipe.name, cls=RecipeCommand, epilog=epilog)(run)
    command = typer.main.get_command(app)
    assert isinstance(command, RecipeCommand)
    command.many = frozenset(_flag(name) for name, field in fields.items() if _is_many(field))
    command.off = frozenset(name for name, field in fields.items() if field.default is False)
    return command


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _panel(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["panel"]) if isinstance(extra, dict) else "Recipe"


def _option(name: str, field: FieldInfo, task: str | None) -> inspect.Parameter:
    """One setting. Its text is read by the settings' own types, so that flags and settings.ini are told the
    same. What does not go with `task` (None: nobody knows yet) is refused with a reason, and not listed.
    """
    flag = _flag(name)
    shown = _shown(field.default)
    if len(shown) > LONGEST_DEFAULT:
        shown = ""
    text = field.description
    if name == "loss" and task is not None and task in LOSSES:
        losses = ", ".join(LOSSES[task]).replace("bce", "bce (binary cross-entropy)")
        text = f"What is minimised: {losses}; auto is the first."
    more: dict[str, Any] = {
        "help": f"{text} Default: {shown}." if shown else text,
        "rich_help_panel": _panel(field),
        "metavar": _metavar(field),
        "show_default": False,
        "hidden": task is not None and not goes_with(name, task),
    }
    if values := _values(name, field, task):
        more["autocompletion"] = completing(values)
    if field.annotation is bool:
        return _parameter(name, bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", **more), None)
    option = typer.Option(flag, **more)
    if _is_many(field):
        return _parameter(name, list[str], option, [])
    return _parameter(name, str | None, option, None)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, annotation=Annotated[kind, option], default=default)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, float):
        return f"{default:g}"
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


def _values(name: str, field: FieldInfo, task: str | None) -> list[str]:
    """The words that a setting takes, for shells to complete."""
    if name == "loss" and task is not None and task in LOSSES:
        return ["auto", *LOSSES[task]]
    if name == "split":
        return ["recipe", "random", "stratified", "folder"]
    if name == "device":
        return ["auto", "cpu", "cuda", "mps"]
    return [kind for kind in _kinds(field) if isinstance(kind, str)]


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
        elif kind not in (types.NoneType, bool):
            parts.append(names.get(kind, "TEXT"))
    return "|".join(dict.fromkeys(parts))
