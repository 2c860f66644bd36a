"""The split that the settings ask for: the recipe's own, random, stratified, by folder, list or group."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.data.patience import at_most
from visionkit.data.splits import (
    SPLIT_FILE,
    Splits,
    folder_split,
    listed_split,
    relative_name,
)
from visionkit.errors import DataError, UsageError
from visionkit.settings import TrainSettings

PATIENCE = 5.0
"""Seconds that one path is searched by a regular expression."""


def split_images(
    settings: TrainSettings,
    images: Sequence[Path],
    targets: Sequence[Any],
    folder: Path,
    own: Callable[[], Splits],
) -> Splits:
    """Indices of the training and of the validation images, as `settings` ask for.

    Args:
        settings: `split`, `group_by`, `folds`, `fold`, `valid_pct` and `seed` are read.
        images: the files.
        targets: for each image its label, its list of tags, the path of its mask, or its points.
        folder: the data set's folder, which names in lists are relative to.
        own: the recipe's own split.

    Raises:
        UsageError: options that exclude each other.
        DataError: the data cannot be split that way.
    """
    settings.check()
    kind = settings.split
    if kind == "recipe" and not settings.group_by and settings.folds is None:
        return own()
    if kind not in ("recipe", "random", "stratified"):
        return folder_split(images, folder) if kind == "folder" else _listed(kind, images, folder)
    if settings.folds is not None and settings.folds > len(images):
        raise DataError(f"{folder}: {len(images)} images cannot make {settings.folds} folds.")
    labels = _labels(targets, kind) if kind == "stratified" else None
    groups = _groups(settings.group_by, images, folder) if settings.group_by else None
    train, valid = _drawn(settings, len(images), labels, groups)
    return sorted(map(int, train)), sorted(map(int, valid))


def _listed(name: str, images: Sequence[Path], folder: Path) -> Splits:
    file = Path(name).expanduser()
    if file.is_dir():
        file /= SPLIT_FILE
    if not file.is_file():
        raise UsageError(
            f"--split {name}: neither recipe, random, stratified or folder, nor a list of validation images, "
            "nor a run folder with its split."
        )
    return listed_split(file, images, folder)


def _labels(targets: Sequence[Any], kind: str) -> np.ndarray:
    """Class numbers of n images, or a table of n x tags of 0 and 1."""
    first = targets[0]
    if isinstance(first, Path):
        raise UsageError(f"--split {kind}: masks have no label to go by. Take random, or --group-by.")
    if np.ndim(first) == 2 and not isinstance(first, str):
        raise UsageError(f"--split {kind}: points are no label to go by. Take random, or --group-by.")
    if isinstance(first, (list, tuple)):
        vocab = {tag: column for column, tag in enumerate(sorted({tag for tags in targets for tag in tags}))}
        table = np.zeros((len(targets), len(vocab)), dtype=bool)
        for row, tags in enumerate(targets):
            table[row, [vocab[tag] for tag in tags]] = True
        return table
    return np.unique(np.asarray(list(map(str, targets))), return_inverse=True)[1]


def _groups(pattern: str, images: Sequence[Path], folder: Path) -> np.ndarray:
    """Group numbers of n images: what `pattern`, or its first group in parentheses, finds in their paths."""
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--group-by {pattern}: not a regular expression ({error}).") from None
    names = []
    try:
        for image in images:
            with at_most(PATIENCE):
                found = expression.search(relative_name(image, folder))
            if found is None or found[min(1, expression.groups)] is None:
                message = f"{image}: --group-by {pattern} finds nothing in its path. Widen the expression."
                raise DataError(message)
            names.append(found[min(1, expression.groups)])
    except TimeoutError:
        message = f"--group-by {pattern}: searching {image} takes too long. Write it without nested repeats."
        raise UsageError(message) from None
    groups = np.unique(np.asarray(names), return_inverse=True)[1]
    if groups.max() == 0:
        raise DataError(f"{folder}: --group-by {pattern} puts all images into one group, {names[0]!r}.")
    return groups


def _drawn(
    settings: TrainSettings, count: int, labels: np.ndarray | None, groups: np.ndarray | None
) -> tuple[Sequence[int], Sequence[int]]:
    """Draw by the seed, with scikit-learn's splitters."""
    if groups is not None and labels is not None and labels.ndim == 2:
        raise UsageError("--split stratified keeps either tags or groups together. Leave --group-by out.")
    if groups is not None and settings.folds and settings.folds > groups.max() + 1:
        raise DataError(f"--folds {settings.folds}: there are only {groups.max() + 1} groups.")
    if groups is None and settings.folds is None and labels is not None and labels.ndim == 1:
        return _stratified(labels, settings.valid_pct, settings.seed)
    splitter = _splitter(settings, labels, groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer images than folds
        try:
            parts = list(splitter.split(np.arange(count), labels, groups))
        except ValueError as error:
            raise DataError(f"the images cannot be split so ({error}). Take --split random.") from error
    return parts[(settings.fold or 1) - 1 if settings.folds else 0]


def _splitter(settings: TrainSettings, labels: np.ndarray | None, groups: np.ndarray | None) -> Any:
    """One of scikit-learn's, or for tags iterative stratification: Sechidis, Tsoumakas and Vlahavas, "On the
    Stratification of Multi-Label Data", ECML PKDD 2011.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold, MultilabelStratifiedShuffleSplit
    from sklearn import model_selection as ms

    folds, part = settings.folds, settings.valid_pct
    shuffled: dict[str, Any] = {"shuffle": True, "random_state": settings.seed}
    once: dict[str, Any] = {"n_splits": 1, "test_size": part, "random_state": settings.seed}
    if groups is not None:
        if labels is not None:
            several = folds or min(max(2, round(1 / part)), int(groups.max()) + 1)
            return ms.StratifiedGroupKFold(several, **shuffled)
        return ms.GroupKFold(folds, **shuffled) if folds else ms.GroupShuffleSplit(**once)
    if labels is None:
        return ms.KFold(folds, **shuffled) if folds else ms.ShuffleSplit(**once)
    if labels.ndim == 1:
        return ms.StratifiedKFold(folds, **shuffled)
    if folds:
        return MultilabelStratifiedKFold(folds, **shuffled)
    return MultilabelStratifiedShuffleSplit(**once)


def _stratified(labels: np.ndarray, part: float, seed: int) -> tuple[list[int], list[int]]:
    """Draw `part` of every class, classes of one image into training."""
    from sklearn.model_selection import StratifiedShuffleSplit

    counts = Counter(labels.tolist())
    common = np.asarray([place for place, label in enumerate(labels) if counts[label] > 1], dtype=int)
    single = [place for place, label in enumerate(labels) if counts[label] == 1]
    try:
        splitter = StratifiedShuffleSplit(1, test_size=part, random_state=seed)
        train, valid = next(splitter.split(common, labels[common]))
    except ValueError as error:
        raise DataError(f"the images cannot be split by class ({error}). Take --split random.") from error
    return [*common[train].tolist(), *single], common[valid].tolist()
