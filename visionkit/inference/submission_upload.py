"""`visionkit submit --upload`: a run's submission, handed in to its competition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.submission import SUBMISSION_FILE, submission_of, submit_run

if TYPE_CHECKING:
    from visionkit.runs import Run
    from visionkit.sources.base import Store


@dataclass(frozen=True)
class Upload:
    """A submission that Kaggle took.

    Args:
        file: what was uploaded.
        answer: what Kaggle said.
        page: where the score will stand.
    """

    file: Path
    answer: str
    page: str


def upload_run(
    run: Run,
    data: Path | None = None,
    out: Path | None = None,
    clip: float | None = None,
    message: str | None = None,
    store: Store | None = None,
) -> Upload:
    """Write the submission of `run` as `submit_run` does, and upload it; nothing is asked.

    A file that is there already is uploaded as it is, if visionkit wrote it with this very model.

    Args:
        run: a finished run of a recipe that has a submission.
        data: as for `submit_run`.
        out: as for `submit_run`.
        clip: as for `submit_run`.
        message: stands beside the submission at Kaggle; the run's name and figures where None.
        store: as for `submit_run`.

    Raises:
        UsageError: the run was trained on drawn data, or a reason of `submit_run`.
        DataError: as for `submit_run`.
        VisionkitError: there are no credentials, Kaggle does not take the file or cannot be reached, or a
            reason of `submit_run`. A file that was written stays, and can be uploaded by a further call.
    """
    from visionkit.inference.submission_record import record_upload
    from visionkit.progress import Silence
    from visionkit.sources.base import Store
    from visionkit.sources.kaggle.client import connect
    from visionkit.sources.kaggle.submitting import competition_page, submit_file

    submission_of(run)
    slug = _competition(run)
    if run.info.get("synthetic"):
        raise UsageError(
            f"{run.name}: was trained on drawn sample data, and no competition wants its answers. Leave "
            "--upload out, or train on the real data."
        )
    store = store or Store(progress=Silence())
    file = out or run.path / SUBMISSION_FILE
    there = file.exists() and data is None and clip is None
    if there:
        store.progress.note(f"submission {file}, written at {_written(run, file)}: uploaded as it is")
    page = competition_page(slug, "submissions")
    client = connect(page, store.progress, instead="Or hand the file in on that page.")
    if not there:
        file = submit_run(run, data, out, clip, store)
    text = _message(run) if message is None else message
    answer = submit_file(client, slug, file, text)
    record_upload(run, file, text, answer, store.progress)
    return Upload(file, answer, page)


def _competition(run: Run) -> str:
    """The name of the competition in its address."""
    from visionkit.recorded_recipe import recorded_recipe
    from visionkit.sources.kaggle import KaggleCompetition

    source = recorded_recipe(run).source
    if not isinstance(source, KaggleCompetition):
        raise UsageError(f"{run.name}: the recipe {run.info['recipe']} is of no competition of Kaggle's.")
    return source.slug


def _written(run: Run, file: Path) -> str:
    from visionkit.inference.bundle_files import read_description
    from visionkit.inference.predictor import bundle_folder
    from visionkit.inference.submission_record import written_by

    if not file.is_file():
        raise VisionkitError(f"{file}: is no file that could be uploaded.")
    return written_by(run, file, read_description(bundle_folder(run)))


def _message(run: Run) -> str:
    figures = ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())
    return f"visionkit {run.name}: {figures}"[:300]
