"""A competition's submission: which images it asks about, and the CSV file with the answers."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UsageError, VisionkitError

if TYPE_CHECKING:
    import numpy as np

    from visionkit.runs import Run
    from visionkit.sources.base import Store

DEFAULT_CLIP = 0.02


@dataclass(frozen=True)
class Submission:
    """What a recipe knows of its competition.

    Args:
        test_images: `test_images(folder)` lists the images that are asked about, in the data set's folder or
            in a folder that the user names; raises `DataError` where there are none.
        rows: `rows(images, probabilities, vocab, clip)` gives the header and then a row for each answer.
            `probabilities` is of shape (images, classes), with the classes in the order of `vocab`; `clip`
            is how near to 0 and 1 a probability may come.
    """

    test_images: Callable[[Path], list[Path]]
    rows: Callable[[Sequence[Path], np.ndarray, Sequence[str], float], Iterable[Sequence[Any]]]


def submit_run(
    run: Run,
    data: Path | None = None,
    out: Path | None = None,
    clip: float = DEFAULT_CLIP,
    store: Store | None = None,
) -> Path:
    """Predict the test images with the model of `run` and write the submission; returns the CSV file.

    Args:
        run: a finished run of a recipe that has a submission.
        data: folder with the test images; the data set that the run was trained on where None.
        out: the file to write; `submission.csv` in the run folder where None.
        clip: probabilities are kept this far from 0 and 1, at least: one confident mistake costs much.
        store: remembers which images were looked at before; `~/.visionkit` where None.

    Raises:
        UsageError: the recipe has no submission, `out` is there already, or `clip` is out of range.
        DataError: there are no test images, or one does not decode.
        VisionkitError: the run is not finished, its data set is gone, or the file cannot be written.
    """
    from visionkit.checks.scan import scan_images
    from visionkit.checks.training import refuse_undecodable
    from visionkit.evaluation.unlabelled import predict_unlabelled
    from visionkit.progress import Silence
    from visionkit.registry import get_recipe
    from visionkit.sources.base import Store
    from visionkit.training.restore import restore

    recipe = get_recipe(run.info.get("recipe_file") or run.info["recipe"])
    if recipe.submission is None:
        raise UsageError(
            f"{run.name}: visionkit writes no submission for the recipe {recipe.name}, only for "
            f"{', '.join(_submitting())}."
        )
    if not 0 <= clip < 0.5:
        raise UsageError(f"--clip {clip:g}: it should be at least 0 and less than 0.5.")
    target = out or run.path / "submission.csv"
    _refuse_existing(target)
    if data is not None and not data.expanduser().is_dir():
        raise UsageError(f"--data {data}: there is no such folder. Name the one with the test images.")
    store = store or Store(progress=Silence())
    images = recipe.submission.test_images(
        data.expanduser() if data is not None else Path(run.info["data"]["path"])
    )
    refuse_undecodable(scan_images(images, store.memory, store.progress))
    learn, dataset = restore(run, store=store)
    probabilities = predict_unlabelled(learn, images)
    rows = recipe.submission.rows(images, probabilities, dataset.task.vocab(learn.dls), clip)
    _write_new(target, _csv(rows))
    return target


def _submitting() -> list[str]:
    """The recipes that have a submission."""
    from visionkit.registry import get_recipe, recipe_names

    return [name for name in recipe_names() if get_recipe(name).submission is not None]


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target}: is there already. Name another file with --out; nothing was touched.")


def _write_new(target: Path, text: str) -> None:
    """Write `text` to a file that is not there yet, whole or not at all."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, target)  # unlike a rename, never over a file that came up meanwhile
    except OSError as error:
        if isinstance(error, FileExistsError):
            _refuse_existing(target)
        raise VisionkitError(f"{target}: cannot be written ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
