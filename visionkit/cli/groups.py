"""Groups whose subcommands are the recipes, and what every command shares: errors, exit codes, quiet libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from visionkit.cli import INTERRUPTED, report_error
from visionkit.errors import UsageError, VisionkitError, nearest
from visionkit.registry import get_recipe, recipe_names

if TYPE_CHECKING:
    from visionkit.recipe import Recipe

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


class RecipeGroup(TyperGroup):
    """A group that has a subcommand for every recipe, and for every recipe file that is named."""

    action: Callable[..., None]

    @classmethod
    def of(cls, action: Callable[..., None]) -> type[RecipeGroup]:
        """A group whose recipes do `action`."""
        return type(cls.__name__, (cls,), {"action": staticmethod(action)})

    def list_commands(self, ctx: Any) -> list[str]:
        return [*recipe_names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, name: str) -> Any:
        command = super().get_command(ctx, name)
        if command is not None:
            return command
        if name.endswith(".py") or name in recipe_names():
            return self._recipe_command(name)
        return None

    def _recipe_command(self, name: str) -> TyperCommand:
        from visionkit.cli.options import recipe_command

        try:
            recipe: Recipe = get_recipe(name)
        except VisionkitError as error:
            raise typer.Exit(report_error(error)) from None
        return recipe_command(recipe, self.action)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            error = UsageError(f"there is no recipe or command {name!r}.{nearest(name, known)}")
            raise typer.Exit(report_error(error))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VisionkitError as error:
            if PROGRAM.debug:
                raise
            raise typer.Exit(report_error(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if PROGRAM.debug or type(error).__module__.startswith(("click", "typer")):
                raise
            raise typer.Exit(report_error(error)) from None
