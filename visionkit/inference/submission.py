"""A competition's submission: which images it asks about, and the CSV file with the answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.csv_rows import csv_text
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError, VisionkitError

if TYPE_CHECKING:
    from visionkit.data.sample_submission import Rows
    from visionkit.inference.predictor import Predictor
    from visionkit.runs import Run
    from visionkit.sources.base import Store

SUBMISSION_FILE = "submission.csv"
BATCH = 32


@dataclass(frozen=True)
class Submission:
    """What a recipe knows of its competition.

    Args:
        sample: the competition's sample submission in the data set's folder; where it is there, it decides
            which rows the answers have.
        header: the two columns of the answers: what a row is called, and the answer.
        test_images: `test_images(folder)` lists the images that are asked about, in the data set's folder or
            in a folder that the user names; raises `DataError` where there are none.
        row: `row(image)` is what its row is called.
        answer: `answer(prediction, clip)` is the answer for what the model says of an image.
        clip: how near to 0 and 1 a probability may come, where answers are probabilities.
    """

    sample: str
    header: tuple[str, str]
    test_images: Callable[[Path], list[Path]]
    row: Callable[[Path], str]
    answer: Callable[[Any, float], str]
    clip: float | None = None


def submit_run(
    run: Run,
    data: Path | None = None,
    out: Path | None = None,
    clip: float | None = None,
    store: Store | None = None,
) -> Path:
    """Predict the test images with the model of `run` and write the submission; returns the CSV file.

    The training's data set is not needed. What was written is recorded in run.json, under `submissions`.

    Args:
        run: a finished run of a recipe that has a submission.
        data: folder with the test images; that of the data set that the run was trained on where None.
        out: the file to write; `submission.csv` in the run folder where None.
        clip: probabilities are kept this far from 0 and 1, at least: one confident mistake costs much. The
            recipe's own where None.
        store: remembers which images were looked at before, and is told how far it is; `~/.visionkit`, and
            silent, where None.

    Raises:
        UsageError: the recipe has no submission, `out` is there already, or `clip` is out of range.
        DataError: an image is missing or does not decode, or the sample submission is no such file.
        VisionkitError: the run is not finished, its data set is gone, or the file cannot be written.
    """
    from visionkit.checks.scan import scan_images
    from visionkit.checks.training import refuse_undecodable
    from visionkit.inference.predictor import load
    from visionkit.inference.submission_record import record_written
    from visionkit.progress import Silence
    from visionkit.sources.base import Store

    submission = submission_of(run)
    if clip is not None and submission.clip is None:
        raise UsageError("--clip: the answers of this competition are no probabilities. Leave it out.")
    clip = clip if clip is not None else submission.clip or 0.0
    if not 0 <= clip < 0.5:
        raise UsageError(f"--clip {clip:g}: it should be at least 0 and less than 0.5.")
    target = out or run.path / SUBMISSION_FILE
    _refuse_existing(target)
    store = store or Store(progress=Silence())
    rows = _rows(submission, run, data, store)
    refuse_undecodable(scan_images(rows.images, store.memory, store.progress))
    predictor = load(run)
    table: list[Sequence[str]] = [submission.header]
    with store.progress.track("predicting", len(rows.images), "images") as advance:
        for name, prediction in zip(rows.names, _predictions(predictor, rows.images)):
            table.append((name, submission.answer(prediction, clip)))
            advance(1)
    _write_new(target, csv_text(table))
    record_written(run, target, len(rows.names), predictor.description, clip, store.progress)
    return target


def submission_of(run: Run) -> Submission:
    """What the recipe of `run` knows of its competition.

    Raises:
        UsageError: nothing: visionkit writes no submission for it.
    """
    from visionkit.recorded_recipe import recorded_recipe
    from visionkit.registry import get_recipe, recipe_names

    recipe = recorded_recipe(run)
    if recipe.submission is None:
        having = [name for name in recipe_names() if get_recipe(name).submission is not None]
        raise UsageError(
            f"{run.name}: visionkit writes no submission for the recipe {recipe.name}, only for "
            f"{', '.join(having)}."
        )
    return recipe.submission


def _rows(submission: Submission, run: Run, data: Path | None, store: Store) -> Rows:
    """The rows that are asked for, with their images; says how they were found."""
    from visionkit.data.sample_submission import Rows, by_row, sample_rows
    from visionkit.progress import quantity

    if data is not None and not data.expanduser().is_dir():
        raise UsageError(f"--data {data}: there is no such folder. Name the one with the test images.")
    own = Path(run.info["data"]["path"])
    folder = data.expanduser() if data is not None else own
    if not folder.is_dir():
        raise VisionkitError(
            f"{folder}: the data set that {run.name} was trained on is no longer there. Name the folder with "
            "the test images with --data."
        )
    images = by_row(submission.test_images(folder), submission.row)
    note = store.progress.note
    places = dict.fromkeys((folder, folder.parent if data is not None else folder, own))
    sample = next(
        (place / submission.sample for place in places if (place / submission.sample).is_file()), None
    )
    if sample is None:
        note(
            f"rows       there is no {submission.sample}: all {quantity(len(images), 'images')} in {folder}, "
            "in the order of their numbers"
        )
        return Rows(list(images), list(images.values()), [])
    remedy = (
        f"visionkit data {run.info['recipe']} --test fetches what is missing; --data names another folder."
    )
    rows = sample_rows(sample, submission.header, images, remedy)
    note(f"rows       {len(rows.names):,}, in the order of {sample}")
    if rows.left_out:
        note(
            f"left out   {quantity(len(rows.left_out), 'images')} without a row in {sample.name}, such as "
            f"{rows.left_out[0]}"
        )
    return rows


def _predictions(predictor: Predictor, images: Sequence[Path]) -> Iterator[Any]:
    """What the model says of each image, which threads read ahead."""
    import torch

    from visionkit.inference.reading import in_batches, in_order, reader_threads

    read = in_order(predictor.input_of, images, reader_threads(predictor.device), 2 * BATCH)
    for batch in in_batches(read, BATCH):
        outputs = predictor.outputs(torch.stack([value for value, _ in batch]))
        yield from predictor.decode(outputs, [size for _, size in batch])


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
        raise cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
