"""A recipe's data set: found, checked, and served as fastai DataLoaders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data.images import check_images
from visionkit.errors import DataError, VisionkitError
from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.tasks import Task, get_task

if TYPE_CHECKING:
    from fastai.data.block import DataBlock
    from fastai.data.core import DataLoaders


@dataclass(frozen=True)
class Dataset:
    """The images and targets of one recipe, as its DataBlock finds them.

    `images[i]` belongs to `targets[i]`: a label, a list of tags or the path of a mask. `train` and `valid`
    are indices.
    """

    recipe: Recipe
    settings: TrainSettings
    path: Path
    synthetic: bool
    images: list[Path]
    targets: list[Any]
    train: list[int]
    valid: list[int]

    @classmethod
    def open(cls, recipe: Recipe, settings: TrainSettings, path: Path, synthetic: bool = False) -> Dataset:
        """Read and check the data set in `path`: every image is decoded once.

        Raises:
            DataError: something is wrong with the files; the message names the first.
        """
        block = recipe.datablock(path, settings)
        items: Any = block.get_items(path) if block.get_items else path
        rows = [items.iloc[index] for index in range(len(items))] if hasattr(items, "iloc") else list(items)
        if not rows:
            raise DataError(f"{path}: no images for the recipe {recipe.name}.")
        images = [Path(_read(block, 0, row)) for row in rows]
        targets = [_read(block, 1, row) for row in rows]
        train, valid = (list(part) for part in _split(block, items))
        for part, name in ((train, "training"), (valid, "validation")):
            if not part:
                raise DataError(
                    f"{path}: the split leaves no image for {name} ({len(images)} in all). Add images."
                )
        dataset = cls(recipe, settings, path, synthetic, images, targets, train, valid)
        check_images(images)
        dataset.task.check(dataset)
        return dataset

    @property
    def task(self) -> Task:
        """What the recipe's task adds: loss, metrics, decoding, plots."""
        return get_task(self.recipe.task)

    def dataloaders(self, size: int, device: Any = None) -> DataLoaders:
        """Fastai's DataLoaders at `size` pixels on `device` (fastai's default where None).

        The batch is never larger than the training set, which fastai would drop without a word.
        """
        from fastai.torch_core import default_device

        from visionkit.training.hardware import resolve_workers

        settings = self.settings.replaced(size=size)
        device = default_device() if device is None else device
        workers = resolve_workers(settings.workers, device)
        block = self.recipe.datablock(self.path, settings)
        dls = block.dataloaders(
            self.path,
            path=self.path,
            bs=min(settings.bs, len(self.train)),
            num_workers=workers,
            device=device,
        )
        dls.settings = settings
        return dls

    def fingerprint(self) -> str:
        """A short hash over names, sizes in bytes, and targets: tells whether two data sets are the same."""
        digest = sha256()
        for image, target in sorted(zip(map(str, self.images), map(str, self.targets))):
            file = Path(image)
            name, size = (
                file.relative_to(self.path) if file.is_relative_to(self.path) else file.name,
                file.stat().st_size,
            )
            label = Path(target).name if self.recipe.task == "segmentation" else target
            digest.update(f"{name}\0{size}\0{label}\n".encode())
        return digest.hexdigest()[:16]

    def class_counts(self) -> Counter[str]:
        """How many images each label or tag has; empty for masks."""
        if self.recipe.task == "segmentation":
            return Counter()
        labels = (
            self.targets
            if self.recipe.task == "single-label"
            else [tag for tags in self.targets for tag in tags]
        )
        return Counter(map(str, labels))


def _read(block: DataBlock, position: int, row: Any) -> Any:
    """What the DataBlock's getter of this position (0: image, 1: target) makes of an item."""
    getter = block.getters[position]
    getters: list[Callable[[Any], Any]] = list(getter) if isinstance(getter, (list, tuple)) else [getter]
    value = row
    try:
        for function in getters:
            value = function(value)
    except VisionkitError:
        raise
    except Exception as error:  # a labelling function may raise anything; fastai's RegexLabeller asserts
        what = "label" if position else "image"
        raise DataError(
            f"{row}: the recipe finds no {what} for it ({error or type(error).__name__})."
        ) from error
    return value


def _split(block: DataBlock, items: Any) -> Any:
    from fastai.data.transforms import RandomSplitter

    return (block.splitter or RandomSplitter())(items)
