"""Groups whose subcommands are the recipes, and what every command shares: errors, exit codes, quiet
libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from visionkit.cli import INTERRUPTED, report_error
from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.registry import get_recipe, recipe_names, recipe_summary

RECIPE_PANEL = "Recipes"


class Program:
    """Whether tracebacks and warnings are shown."""

    debug = False

    def start(self, debug: bool) -> None:
        """Called once the options before the command are read."""
        self.debug = debug
        if not debug:
            from visionkit.cli.quiet import silence_libraries

            silence_libraries()


PROGRAM = Program()
ORDER = (
    *("recipes", "new", "data", "check", "show", "lr-find", "bench"),
    *("runs", "watch", "resume", "plot", "report", "compare", "evaluate", "reproduce"),
    *("predict", "merge", "demo", "export", "submit", "card", "push", "load"),
    *("classify", "cache", "settings", "doctor"),
)
"""Of the commands in the help text: as one comes to need them."""


class RecipeGroup(TyperGroup):
    """A group that has a subcommand for every recipe, and for every recipe file that is named."""

    action: Callable[..., None]

    @classmethod
    def of(cls, action: Callable[..., None]) -> type[RecipeGroup]:
        """A group whose recipes do `action`."""
        return type(cls.__name__, (cls,), {"action": staticmethod(action)})

    def list_commands(self, ctx: Any) -> list[str]:
        places = {name: place for place, name in enumerate(ORDER)}
        known = super().list_commands(ctx)
        return [*recipe_names(), *sorted(known, key=lambda name: places.get(name, len(places)))]

    def get_command(self, ctx: Any, name: str) -> Any:
        command = super().get_command(ctx, name)
        if (
            command is None and name in recipe_names()
        ):  # for the help text only, so nothing of the recipe is imported
            command = TyperCommand(name, short_help=recipe_summary(name), rich_help_panel=RECIPE_PANEL)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name.startswith("-") or super().get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from visionkit.cli.options import recipe_command

        try:
            if not name.endswith(".py") and name not in recipe_names():
                known = self.list_commands(ctx)
                raise UsageError(f"there is no recipe or command {name!r}.{nearest(name, known)}")
            return name, recipe_command(get_recipe(name), self.action), args[1:]
        except VisionkitError as error:
            raise typer.Exit(report_error(error)) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VisionkitError as error:
            if PROGRAM.debug:
                raise
            raise typer.Exit(report_error(error)) from None
        except KeyboardInterrupt as error:
            raise typer.Exit(getattr(error, "exit_code", INTERRUPTED)) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if PROGRAM.debug or type(error).__module__.startswith(("click", "typer")):
                raise
            raise typer.Exit(report_error(error)) from None
