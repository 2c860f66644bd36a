"""From what the user said (`--data`, `--sample` or nothing) to a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visionkit.errors import DataError, UsageError
from visionkit.registry import recipe_file
from visionkit.sources.base import Store
from visionkit.sources.catalogue import fetched
from visionkit.sources.names import FORMS, is_source_name, named_source

if TYPE_CHECKING:
    from visionkit.recipe import Recipe

MARKER = "SYNTHETIC.txt"
SAMPLE_VERSION = 1
"""Part of a sample folder's name: a change of the drawings is a new folder."""

CAN_BE = f"It can be {FORMS}."
SYNTHETIC_NOTE = "SYNTHETIC sample data, drawn by visionkit: the results say nothing about real images."
_MARKER_TEXT = (
    "The images here are synthetic: visionkit drew them, to try its recipes without a download.\n"
    "Results on them say nothing about real images.\n"
)


class Place(NamedTuple):
    """A data set's folder, and whether visionkit drew what is in it."""

    folder: Path
    synthetic: bool


def locate(
    recipe: Recipe, data: Path | str | None, sample: bool, seed: int, store: Store | None = None
) -> Place:
    """The folder to read: `data`, the drawn sample, or what the recipe's source fetches.

    Args:
        recipe: whose data set it is.
        data: a folder, or the name of a source such as "fastai:PETS", which is fetched.
        sample: draw and use the recipe's sample.
        seed: of the sample.
        store: where data sets are fetched and drawn; `~/.visionkit` where None.

    Raises:
        UsageError: both `data` and `sample`, a sample of a recipe that has none, or an unknown source.
        DataError: there is no folder `data`.
        VisionkitError: the source cannot be fetched.
    """
    store = store or Store()
    if data is not None and sample:
        raise UsageError("--data and --sample exclude each other: the sample is drawn by visionkit.")
    if data is not None:
        return find_folder(data, store)
    if sample:
        return Place(draw_sample(recipe, seed, store.root), True)
    if recipe.source is None:
        hint = ", or try it with --sample" if recipe.sample is not None else ""
        raise UsageError(
            f"the recipe {recipe.name} needs your data: name it with --data{hint}. {recipe.where or CAN_BE}"
        )
    return Place(fetched(recipe.source, store, recipe.licence), False)


def find_folder(data: Path | str, store: Store) -> Place:
    """The folder `data`, or that of the source of this name, fetched where it is not there yet.

    Raises:
        UsageError: an unknown source.
        DataError: there is no such folder.
        VisionkitError: the source cannot be fetched.
    """
    if is_source_name(str(data)):
        folder = fetched(named_source(str(data)), store)
    else:
        folder = Path(data).expanduser()
        if not folder.is_dir():
            raise DataError(f"--data {data}: there is no such folder. {CAN_BE}")
    return Place(folder, is_synthetic(folder))


def is_synthetic(folder: Path) -> bool:
    """Whether visionkit drew the data set in `folder`."""
    return (folder / MARKER).is_file()


def draw_sample(recipe: Recipe, seed: int, store: Path) -> Path:
    """The sample of `recipe` for this seed: drawn into `store` once, whole or not at all.

    Raises:
        UsageError: the recipe has no sample.
    """
    if recipe.sample is None:
        raise UsageError(f"the recipe {recipe.name} has no sample; give a folder with --data.")
    file = recipe_file(recipe)  # files of other people may define recipes of the same name
    own = f"-{sha256(file.encode()).hexdigest()[:6]}" if file else ""
    folder = store / "samples" / f"{recipe.name}{own}-v{SAMPLE_VERSION}-seed{seed}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        recipe.sample(beside, seed)
        (beside / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")
        beside.chmod(0o755)
        try:
            os.rename(beside, folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: its sample is the same
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
