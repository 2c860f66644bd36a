"""`visionkit new`: a recipe file to start from."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError

StarterTask = Literal["single-label", "multi-label", "segmentation"]


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the recipe is called: letters, digits and _.")
    ],
    task: Annotated[StarterTask, typer.Option(help="What the network says of an image.")] = "single-label",
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the file goes; by default into this folder.")
    ] = Path(),
) -> None:
    """Write a recipe file to start from, NAME.py, which runs at once."""
    file = write_recipe(name, task, out)
    shown = f"./{file}" if file.parent == Path() else str(file)
    typer.echo(f"{shown}: a {task} recipe. Try it:")
    typer.echo(f"  visionkit {shown} --sample")
    typer.echo(f"  visionkit {shown} --data FOLDER")


def write_recipe(name: str, task: StarterTask, folder: Path) -> Path:
    """Write the recipe file `folder/NAME.py`, which defines a recipe of this task; nothing is replaced.

    Raises:
        UsageError: the name cannot be one, is that of an installed recipe, or the file is there already.
        VisionkitError: the file cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from visionkit.atomic import write_atomically
    from visionkit.registry import recipe_names

    assert task in get_args(StarterTask)
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or len(name) > 40:
        raise UsageError(
            f"{name!r}: not a name for a recipe. Take at most 40 letters, digits and _, a letter first."
        )
    if name in recipe_names():
        raise UsageError(f"{name}: there is a recipe of this name already. Take another one.")
    file = folder.expanduser() / f"{name}.py"
    if file.exists() or file.is_symlink():
        raise UsageError(
            f"{file}: is there already; nothing was touched. Take another name, or --out FOLDER."
        )
    if not file.parent.is_dir():
        raise UsageError(f"--out {folder}: there is no such folder.")
    templates = Environment(
        loader=PackageLoader("visionkit.cli"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    try:
        write_atomically(file, templates.get_template(f"{task}.py.jinja").render(name=name))
    except OSError as error:
        raise cannot_write(file, error) from error
    return file
