"""A recipe's data set: found, split, checked, and served as fastai DataLoaders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.data.points import image_sizes, visible_windows
from visionkit.data.problems import refuse, skipping
from visionkit.data.skipping import read_skip_list
from visionkit.data.splits import Splits, relative_name
from visionkit.data.splitting import split_images
from visionkit.data.upright import UPRIGHT_TASKS
from visionkit.errors import DataError, VisionkitError
from visionkit.recipe import Recipe
from visionkit.settings import TrainSettings
from visionkit.sources.base import Store
from visionkit.sources.locate import is_synthetic
from visionkit.tasks import Task, get_task
from visionkit.tasks.options import check_options

if TYPE_CHECKING:
    from fastai.data.block import DataBlock
    from fastai.data.core import DataLoaders


@dataclass(frozen=True)
class Dataset:
    """The images and targets of one recipe, as its DataBlock finds them, without what the user skips.

    `images[i]` belongs to `targets[i]`: a label, a list of tags, the path of a mask or a list of points, and
    to `items[i]`, which the DataBlock makes both from. `train` and `valid` are indices; a split may leave
    images out.
    """

    recipe: Recipe
    settings: TrainSettings
    path: Path
    items: Any
    images: list[Path]
    targets: list[Any]
    train: list[int]
    valid: list[int]
    skipped: frozenset[Path] = frozenset()
    store: Store | None = None
    """Where what was seen of images and masks is remembered, and where decoded images are kept."""

    @classmethod
    def open(cls, recipe: Recipe, settings: TrainSettings, path: Path, store: Store | None = None) -> Dataset:
        """Find and check the data set in `path`: every image and mask is decoded, and remembered in `store`.

        Raises:
            DataError: something is wrong with the files; the message names the first.
        """
        from visionkit.checks.training import check_for_training

        dataset = cls.find(recipe, settings, path)
        store = store or Store()
        check_for_training(dataset, store)
        if remark := dataset.remark():
            store.progress.note(remark)
        return replace(dataset, store=store)

    @classmethod
    def find(cls, recipe: Recipe, settings: TrainSettings, path: Path) -> Dataset:
        """Find the images and targets in `path` and split them, without looking into the files.

        Raises:
            DataError: something is missing or contradicts itself; the message names the first file or row.
            UsageError: an option that does not go with the task.
        """
        skipped = read_skip_list(settings.skip, path) if settings.skip is not None else frozenset()
        with skipping(skipped):
            recipe = recipe.at(path, settings)
            check_options(settings, recipe.task)
            found = find_labelled(recipe, settings, path, skipped)
            items, images, targets = found.items, found.images, found.targets
            train, valid = split_images(
                settings, images, targets, path, lambda: _own_split(found.block, items)
            )
        for part, name in ((train, "training"), (valid, "validation")):
            if not part:
                raise DataError(
                    f"{path}: the split leaves no image for {name} ({len(images)} in all). Add images, or "
                    "take another --split."
                )
        return cls(recipe, settings, path, items, images, targets, train, valid, skipped)

    @property
    def task(self) -> Task:
        """What the recipe's task adds: loss, metrics, decoding, plots."""
        return get_task(self.recipe.task)

    def remark(self) -> str:
        """What the recipe says of the data before a training, or a check; "" for nothing."""
        return "" if self.recipe.remark is None else self.recipe.remark(self)

    @property
    def synthetic(self) -> bool:
        """Whether visionkit drew the images."""
        return is_synthetic(self.path)

    def block(self, settings: TrainSettings | None = None) -> DataBlock:
        """The recipe's DataBlock, with the items and the split of this data set.

        For labels and tags it opens photos upright.
        """
        with skipping(self.skipped):
            block = self.recipe.datablock(self.path, settings or self.settings)
        if self.recipe.task in UPRIGHT_TASKS:
            from visionkit.data.upright_block import open_upright

            open_upright(block)
        block.get_items = lambda _: self.items
        block.splitter = lambda _: (self.train, self.valid)
        return block

    @property
    def memory(self) -> Path | None:
        """The file that remembers what was seen of images and masks."""
        return None if self.store is None else self.store.memory

    def dataloaders(self, size: int, device: Any = None, *, fill: bool = True) -> DataLoaders:
        """Fastai's DataLoaders at `size` pixels on `device` (fastai's default where None).

        The batch is never larger than the training set, which fastai would drop without a word.

        Args:
            size: in pixels.
            device: that batches are moved to.
            fill: decode what is not in the cache yet; else images are taken from there only if all are.
        """
        if fill:
            self.fill_cache([size])
        dls = self._plain_loaders(size, device)
        if self.store is not None and self.settings.cache != "off":
            from visionkit.loading.serving import serve_from_cache

            dls = serve_from_cache(self, dls, self.store)
        if self.recipe.task == "keypoints":
            dls.windows = visible_windows(dls, image_sizes(self.images[index] for index in self.valid))
        return dls

    def fill_cache(self, sizes: Iterable[int]) -> bool:
        """Decode all images for loaders at `sizes`, each once; whether those then come from the cache.

        Where they cannot, says why.

        Raises:
            DataError: an image or a mask cannot be used.
        """
        if self.store is None or self.settings.cache == "off":
            return False
        from visionkit.loading.serving import fill_cache

        loaders = [self._plain_loaders(size) for size in dict.fromkeys(sizes)]
        reason = fill_cache(self, loaders, self.store)
        if reason:
            self.store.progress.note(f"cache      not used, and loading is slower: {reason}")
        return not reason

    def _plain_loaders(self, size: int, device: Any = None) -> DataLoaders:
        """The recipe's DataLoaders as fastai makes them, with random numbers of their own."""
        from fastai.torch_core import default_device

        from visionkit.loading.seeded import seeded_loader
        from visionkit.training.hardware import resolve_workers
        from visionkit.training.sampling import weighted_loading

        settings = self.settings.replaced(size=size)
        device = default_device() if device is None else device
        weighted = weighted_loading(self) if settings.weighted_sampling else {}
        dls = self.block(settings).dataloaders(
            self.path,
            path=self.path,
            bs=min(settings.batch_size, len(self.train)),
            num_workers=resolve_workers(settings.workers, device),
            device=device,
            **weighted,
        )
        dls.loaders = [seeded_loader(loader) for loader in dls.loaders]
        dls.settings, dls.recipe, dls.origin = settings, self.recipe, self
        return dls

    def fingerprint(self) -> str:
        """A short hash over names, sizes in bytes, and targets: tells whether two data sets are the same.

        The sizes are those when it was first asked for: a training that has its images in the cache may go on
        without their files.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = sha256()
        for image, target in sorted(zip(self.images, self.targets), key=lambda pair: str(pair[0])):
            label = Path(target).name if self.recipe.task == "segmentation" else target
            digest.update(
                f"{relative_name(image, self.path)}\0{image.stat().st_size}\0{label}\n".encode(
                    errors="surrogateescape"
                )
            )
        return digest.hexdigest()[:16]

    def class_counts(self, part: list[int] | None = None) -> Counter[str]:
        """How many images each label or tag has, among the indices `part` or all; empty for masks and
        points.
        """
        if self.recipe.task in ("segmentation", "keypoints"):
            return Counter()
        targets = self.targets if part is None else [self.targets[index] for index in part]
        labels = targets if self.recipe.task == "single-label" else [tag for tags in targets for tag in tags]
        return Counter(map(str, labels))


class Labelled(NamedTuple):
    """What a recipe finds in a folder: its DataBlock, the items, and of each its image and target."""

    block: DataBlock
    items: Any
    images: list[Path]
    targets: list[Any]


def find_labelled(
    recipe: Recipe, settings: TrainSettings, path: Path, skipped: frozenset[Path] = frozenset()
) -> Labelled:
    """All images in `path` with their targets, without looking into the files or dividing them.

    Raises:
        DataError: something is missing or contradicts itself, or there are no images.
        UsageError: a setting names what is not there.
    """
    block = recipe.datablock(path, settings)
    found: Any = block.get_items(path) if block.get_items else path
    rows = [found.iloc[index] for index in range(len(found))] if _is_table(found) else list(found)
    kept, images, targets = _read_rows(block, rows, skipped)
    if not images:
        raise DataError(f"{path}: no images for the recipe {recipe.name}.")
    items = found.iloc[kept] if _is_table(found) else [rows[index] for index in kept]
    return Labelled(block, items, images, targets)


def _is_table(items: Any) -> bool:
    return hasattr(items, "iloc")


def _read_rows(
    block: DataBlock, rows: list[Any], skipped: frozenset[Path]
) -> tuple[list[int], list[Path], list[Any]]:
    """The places of the rows that are used, and what the DataBlock makes of them: images and targets."""
    kept: list[int] = []
    images: list[Path] = []
    targets: list[Any] = []
    for index, row in enumerate(rows):
        try:
            found = _read(block, 0, row)
            image = found if isinstance(found, Path) else Path(found)  # paths into shards stay what they are
            if image in skipped:
                continue
            target = _read(block, 1, row)
        except DataError as error:
            refuse("unlabelled", str(error), row if isinstance(row, Path) else None)
            continue
        kept.append(index)
        images.append(image)
        targets.append(target)
    return kept, images, targets


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


def _own_split(block: DataBlock, items: Any) -> Splits:
    """The recipe's own split; fastai's default where it has none."""
    from fastai.data.transforms import RandomSplitter

    train, valid = (block.splitter or RandomSplitter())(items)
    return list(map(int, train)), list(map(int, valid))
