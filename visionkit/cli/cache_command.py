"""`visionkit cache`: which decoded images are kept, and deleting them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import SettingsOption

if TYPE_CHECKING:
    from visionkit.cache.listing import Entry
    from visionkit.sources.base import Store

cache = typer.Typer(
    help="List and delete the decoded images that trainings are served from.", no_args_is_help=True
)
_DAYS_LIMIT = 36500


@cache.command("list")
def list_caches(
    json_output: Annotated[
        bool, typer.Option("--json", metavar="", help="Print everything as JSON.", rich_help_panel="Output")
    ] = False,
    settings_file: SettingsOption = None,
) -> None:
    """List the caches, the last used first, and the room that is left."""
    from visionkit.cache.listing import entries
    from visionkit.cli.tables import print_caches

    store = _store(settings_file)
    found, free = entries(store.cache_folder), _free(store.cache_folder)
    if not json_output:
        print_caches(store.cache_folder, found, store.cache_bytes, free)
        return
    told = {
        "folder": str(store.cache_folder),
        "bytes": sum(entry.bytes for entry in found),
        "limit": store.cache_bytes,
        "free": free,
        "caches": [_told(entry) for entry in found],
    }
    typer.echo(json.dumps(told, indent=2))


@cache.command("clear")
def clear_caches(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY|RECIPE",
            help="Which ones, as the list calls them; all without.",
            show_default=False,
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            help="Only those that no training has used for so many days.",
            min=0,
            max=_DAYS_LIMIT,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    settings_file: SettingsOption = None,
) -> None:
    """Delete caches, and what killed processes left. A training makes them anew where it needs them.

    On a terminal it asks first.
    """
    from visionkit.cache.clearing import chosen, clear
    from visionkit.progress import quantity

    folder = _store(settings_file).cache_folder
    found = chosen(folder, names or [], older_than)
    whole = [entry for entry in found if entry.is_whole]
    if whole and not yes and on_terminal():
        size = quantity(sum(entry.bytes for entry in found), "bytes")
        typer.confirm(f"Delete {_count(len(whole))} in {folder} ({size})?", abort=True)
    cleared = clear(folder, found)
    for entry in cleared.left:
        typer.echo(f"left       {entry.folder}: another process writes it, or it cannot be deleted")
    if not cleared.removed:
        typer.echo(f"removed    nothing from {folder}")
        return
    count = _count(sum(entry.is_whole for entry in cleared.removed))
    remains = sum(not entry.is_whole for entry in cleared.removed)
    rest = f" and {remains:,} unfinished or damaged" if remains else ""
    typer.echo(f"removed    {count}{rest} from {folder}: {quantity(cleared.bytes, 'bytes')} are free")


def on_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty()


def _store(settings_file: Path | None) -> Store:
    from visionkit.progress import PlainProgress
    from visionkit.settings_file import SettingsFile

    return SettingsFile.read(settings_file).store(PlainProgress())


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of `folder`, which need not be there."""
    import shutil

    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    return shutil.disk_usage(there).free


def _count(caches: int) -> str:
    return f"{caches:,} cache{'' if caches == 1 else 's'}"


def _told(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.name,
        "kind": entry.kind,
        "recipe": entry.recipe,
        "data": entry.data,
        "size": entry.size,
        "images": entry.images,
        "bytes": entry.bytes,
        "used": entry.used.isoformat(timespec="seconds"),
    }
