"""Which labelled images an evaluation is about: a part of the run's data set, or another folder."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from visionkit.errors import UsageError, VisionkitError

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.runs import Run
    from visionkit.sources.base import Store

PartName = Literal["valid", "test", "train"]
_EVERYTHING: dict[str, Any] = {"split": "recipe", "group_by": "", "folds": None, "fold": 1, "skip": None}
"""Settings that leave nothing out of another folder."""
_OF_ADDRESS = re.compile(r"(shards:)?[a-zA-Z][a-zA-Z0-9+.-]*:/(?!/)")
"""How an address begins as a path, which keeps one of two slashes."""


@dataclass(frozen=True)
class Part:
    """Labelled images.

    Args:
        name: valid, test or train, or the name of the folder.
        dataset: that they belong to.
        places: of the images in it.
        own: whether they are of the run's own data set.
    """

    name: str
    dataset: Dataset
    places: list[int]
    own: bool = True

    @property
    def images(self) -> list[Path]:
        """The files."""
        return [self.dataset.images[place] for place in self.places]

    @property
    def targets(self) -> list[Any]:
        """A label, a list of tags, the path of a mask, or points, for each image."""
        return [self.dataset.targets[place] for place in self.places]


def labelled_part(run: Run, on: PartName | None, data: Path | None, store: Store) -> Part:
    """The images to evaluate, which have been looked at: all of them decode.

    Args:
        run: a finished run, which tells recipe, settings, data and split.
        on: a part of its data set; valid where None.
        data: another folder in the layout of the recipe, or an address or name as a training takes; all of
            its images count.
        store: remembers which images were looked at before.

    Raises:
        UsageError: there is no such part or folder.
        DataError: something is wrong with the files.
        VisionkitError: the data set is no longer there, or is another one.
    """
    if data is not None:
        if on is not None:
            raise UsageError(
                "--on names a part of the run's own data, --data another folder: give one of them."
            )
        return _other_folder(run, _folder_of(data, store), store)
    from visionkit.training.restore import recorded_dataset

    try:
        dataset = recorded_dataset(run, store)
    except VisionkitError as error:
        if Path(run.info["data"]["path"]).is_dir():
            raise
        raise VisionkitError(f"{error} Name a folder of labelled images with --data.") from None
    if on == "test":
        return _test_part(dataset, store)
    return Part(on or "valid", dataset, dataset.train if on == "train" else dataset.valid)


def _folder_of(data: Path, store: Store) -> Path:
    """The folder `data`, or that of the source of this name, fetched where it is not there yet."""
    from visionkit.sources.locate import find_folder
    from visionkit.sources.names import is_source_name

    folder = data.expanduser()
    if folder.is_dir():
        return folder
    name = _OF_ADDRESS.sub(r"\g<0>/", str(data))
    if not is_source_name(name):
        raise UsageError(f"--data {folder}: there is no such folder.")
    return find_folder(name, store).folder


def _other_folder(run: Run, folder: Path, store: Store) -> Part:
    from visionkit.checks.training import check_files
    from visionkit.data.dataset import Dataset, find_labelled
    from visionkit.recorded_recipe import recorded_recipe, recorded_settings

    recipe = recorded_recipe(run)
    settings = recorded_settings(run, recipe)
    whole = {"subset": None} if "subset" in recipe.settings.model_fields else {}
    settings = settings.replaced(**_EVERYTHING, **whole)
    recipe = recipe.at(folder, settings)
    if recipe.task != run.info["task"]:
        raise UsageError(
            f"--data {folder}: its labels make it {recipe.task}, and the run is {run.info['task']}."
        )
    found = find_labelled(recipe, settings, folder)
    places = list(range(len(found.images)))
    dataset = Dataset(recipe, settings, folder, found.items, found.images, found.targets, [], places)
    check_files(dataset, store)
    return Part(folder.resolve().name or "data", dataset, places, own=False)


def _test_part(dataset: Dataset, store: Store) -> Part:
    from visionkit.checks.training import check_files
    from visionkit.data.problems import skipping

    find = dataset.recipe.test_part
    with skipping(dataset.skipped):
        pairs = find(dataset.path, dataset.settings) if find is not None else []
    pairs = [pair for pair in pairs if pair[0] not in dataset.skipped]
    if not pairs:
        raise UsageError(
            f"--on test: {dataset.path} has no labelled test images, as far as the recipe "
            f"{dataset.recipe.name} knows. Name a folder of them with --data."
        )
    images, targets = map(list, zip(*pairs))
    places = list(range(len(images)))
    tested = replace(dataset, items=images, images=images, targets=targets, train=[], valid=places)
    check_files(tested, store)
    return Part("test", tested, places)
