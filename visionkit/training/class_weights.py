"""How much each class counts in the loss: by how rare it is, or as a file says."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.atomic import write_atomically
from visionkit.data.masks import void_index
from visionkit.data.tables import open_table, shown
from visionkit.errors import UsageError, listing, nearest

if TYPE_CHECKING:
    from visionkit.data.dataset import Dataset
    from visionkit.settings import TrainSettings

CLASS_WEIGHTS_FILE = "class_weights.json"
LARGEST_RATIO = 50.0
"""How many times a class can weigh what the commonest does, and a tag that is there what one that is not
does.
"""


def class_weights(
    dataset: Dataset | None, settings: TrainSettings, vocab: Sequence[str]
) -> dict[str, float] | None:
    """The weights that `settings.class_weights` means for the names in `vocab`, in its order.

    For labels and codes "auto" is `balanced` of the training images or pixels, for tags `tag_weights`. Void
    has the weight 0.

    Args:
        dataset: counted for "auto"; None where it is not known.
        settings: `class_weights`.
        vocab: the classes, tags or codes.

    Returns:
        None for "none".

    Raises:
        UsageError: a file that cannot be used, or "auto" without a data set.
    """
    void = void_index(vocab) if dataset is not None and dataset.recipe.task == "segmentation" else None
    if isinstance(settings.class_weights, Path):
        return _matched(read_class_weights(settings.class_weights), vocab, void, settings.class_weights)
    if settings.class_weights == "none":
        return None
    if dataset is None:
        raise UsageError(
            "--class-weights auto: the DataLoaders do not tell what they hold. Make them with the recipe's "
            "own `dataloaders`, or name a file."
        )
    if dataset.recipe.task == "segmentation":
        pixels = sum(map(Counter, mask_pixels(dataset)), Counter[int]())
        weights = balanced([0 if code == void else pixels[code] for code in range(len(vocab))])
        if void is not None:
            weights[void] = 0.0
    else:
        images = dataset.class_counts(dataset.train)
        counts = [images[name] for name in vocab]
        tags = dataset.recipe.task == "multi-label"
        weights = tag_weights(counts, len(dataset.train)) if tags else balanced(counts)
    return dict(zip(vocab, weights))


def balanced(counts: Sequence[int]) -> list[float]:
    """Weights in proportion to 1 / count, at most `LARGEST_RATIO` times the smallest, whose mean is 1.

    Classes that never occur weigh 1 and have no part in the mean.
    """
    most = max(counts, default=0)
    raw = [min(most / count, LARGEST_RATIO) if count else 0.0 for count in counts]
    mean = sum(raw) / max(1, sum(value > 0 for value in raw))
    return [value / mean if value else 1.0 for value in raw]


def tag_weights(counts: Sequence[int], images: int) -> list[float]:
    """For each tag the images without it / the images with it, within 1 / `LARGEST_RATIO` and
    `LARGEST_RATIO`.

    Tags that never occur weigh 1.
    """
    ratios = [(images - count) / count if count else 1.0 for count in counts]
    return [min(max(ratio, 1 / LARGEST_RATIO), LARGEST_RATIO) for ratio in ratios]


def mask_pixels(dataset: Dataset) -> list[dict[int, int]]:
    """How many pixels each code has in each training mask of `dataset`, a segmentation."""
    from visionkit.checks.scan import scan_masks
    from visionkit.progress import Silence

    files = [Path(dataset.targets[index]) for index in dataset.train]
    pixels = {facts.path: facts.pixels for facts in scan_masks(files, dataset.memory, Silence())}
    return [pixels[file] for file in files]


def read_class_weights(file: Path) -> dict[str, float]:
    """The weights in `file`: a table with the columns `class` and `weight`, or JSON, `{"cat": 2.5, …}`.

    Raises:
        UsageError: it is missing or something else, or a weight is no number from 0 on.
        DataError: it is no table that can be read.
    """
    if not file.is_file():
        raise UsageError(f"--class-weights {file}: there is no such file. Give auto, none or a file.")
    pairs = _json_pairs(file) if file.suffix.lower() == ".json" else _table_pairs(file)
    weights: dict[str, float] = {}
    for where, name, value in pairs:
        if name in weights:
            raise UsageError(f"--class-weights {where}: {shown(name)} is there twice. Keep one.")
        weights[name] = _weight(where, name, value)
    return weights


def write_class_weights(file: Path, weights: Mapping[str, float]) -> None:
    """Write `weights` as JSON, which `read_class_weights` reads."""
    write_atomically(file, json.dumps(weights, indent=2, ensure_ascii=False) + "\n")


def _table_pairs(file: Path) -> list[tuple[str, str, Any]]:
    table = open_table(file, ("class", "weight"))
    places = [table.columns.index(column) for column in ("class", "weight")]
    pairs = []
    for number, values in table.rows():
        if len(values) != len(table.columns):
            raise UsageError(
                f"--class-weights {file}, row {number}: {len(values)} values for {len(table.columns)} "
                "columns. Put quotes around a name with the separator in it."
            )
        name, weight = (values[place] for place in places)
        pairs.append((f"{file}, row {number}", name, weight))
    return pairs


def _json_pairs(file: Path) -> list[tuple[str, str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=list)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--class-weights {file}: not a JSON file ({error}).") from None
    pairs = isinstance(found, list) and all(isinstance(pair, tuple) for pair in found)
    if not pairs:
        raise UsageError(f'--class-weights {file}: one JSON object is needed, such as {{"cat": 2.5}}.')
    return [(str(file), name, value) for name, value in found]


def _weight(where: str, name: str, value: Any) -> float:
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UsageError(
            f"--class-weights {where}: the weight of {shown(name)} is {shown(str(value))}; it must be a "
            "number from 0 on."
        )
    return weight


def _matched(
    weights: dict[str, float], vocab: Sequence[str], void: int | None, file: Path
) -> dict[str, float]:
    """`weights` in the order of `vocab`, with 0 for void, which the file may leave out."""
    known = list(vocab)
    for name in weights:
        if name not in known:
            raise UsageError(
                f"--class-weights {file}: there is no class {shown(name)}.{nearest(name, known)}"
            )
    names = [name for code, name in enumerate(known) if code != void]
    missing = [name for name in names if name not in weights]
    if missing:
        raise UsageError(f"--class-weights {file}: no weight for {listing(missing)}. Add a row for each.")
    if not any(weights[name] for name in names):
        raise UsageError(f"--class-weights {file}: all weights are 0, so nothing can be learnt.")
    return {name: 0.0 if code == void else weights[name] for code, name in enumerate(known)}
