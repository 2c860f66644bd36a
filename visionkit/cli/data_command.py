"""`visionkit data`: fetch a data set, list what is on the disk, remove it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import SettingsOption
from visionkit.cli.completion import complete_recipes
from visionkit.errors import UsageError

if TYPE_CHECKING:
    from visionkit.progress import Progress
    from visionkit.sources.base import Source, Store


def data(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|SOURCE",
            autocompletion=complete_recipes,
            help="A recipe, or fastai:NAME, kaggle:competitions/NAME, kaggle:datasets/OWNER/NAME, "
            "torchvision:NAME, or the https:// address of an archive.",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Fetch the test images too, where the recipe knows some.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the data sets that are on the disk.")] = False,
    removed: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Delete a data set of the list.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    settings_file: SettingsOption = None,
) -> None:
    """Fetch a data set and say where it is, or list and remove what is on the disk."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.settings_file import SettingsFile

    if (name is not None) + listed + (removed is not None) != 1:
        raise UsageError("name a recipe or a source to fetch, or give --list, or --remove NAME.")
    file = SettingsFile.read(settings_file)
    with terminal_progress() as progress:
        store = file.store(progress)
        if name is not None:
            _fetch(_source(name, test), store, progress)
            return
    if listed:
        from visionkit.cli.tables import print_data_sets

        print_data_sets(store.root)
    elif removed is not None:
        _remove(store.root, removed, yes)


def _source(name: str, test: bool) -> tuple[Source, str]:
    """The source that `name` means, and the licence of the data set."""
    from visionkit.registry import get_recipe, recipe_names
    from visionkit.sources.names import is_source_name, named_source

    if is_source_name(name):
        source, licence = named_source(name), ""
    elif name in recipe_names() or name.endswith(".py"):
        recipe = get_recipe(name)
        if recipe.source is None:
            message = f"the recipe {name} has no data set of its own: it takes yours, with --data."
            raise UsageError(f"{message} {recipe.where}".strip())
        source, licence = recipe.source, recipe.licence
    else:
        from visionkit.errors import nearest
        from visionkit.sources.names import FORMS

        raise UsageError(
            f"there is no recipe {name!r}.{nearest(name, recipe_names())} A source would be {FORMS}."
        )
    if test:
        if not hasattr(source, "with_test"):
            raise UsageError(f"--test: {name} names no test images.")
        source = source.with_test()
    return source, licence


def _fetch(found: tuple[Source, str], store: Store, progress: Progress) -> None:
    from visionkit.progress import quantity
    from visionkit.sources.catalogue import entry, fetched

    source, licence = found
    folder = fetched(source, store, licence)
    record = entry(source, folder, store.root, licence)
    progress.note(f"data       {folder}")
    progress.note(f"size       {quantity(record.files, 'files')}, {quantity(record.bytes, 'bytes')}")
    progress.note(f"licence    {record.licence or 'not known to visionkit; look at the page'}")
    progress.note(f"page       {source.url}")


def _remove(root: Path, name: str, yes: bool) -> None:
    from visionkit.progress import quantity
    from visionkit.sources.catalogue import find_entry, remove

    record = find_entry(root, name)
    size = f"{quantity(record.files, 'files')}, {quantity(record.bytes, 'bytes')}"
    if not yes:
        typer.confirm(f"Delete {record.folder} ({size})?", abort=True)
    remove(root, record)
    typer.echo(f"removed    {record.folder} ({size})")
