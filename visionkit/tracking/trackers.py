"""`--tensorboard` and `--wandb`: fastai's callbacks, over all stages of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastai.learner import Learner

from visionkit.errors import UsageError

if TYPE_CHECKING:
    from visionkit.runs import Run
    from visionkit.settings import TrainSettings
    from visionkit.training.recording import Recording

NAMES = ("tensorboard", "wandb")
"""Of the settings and of the packages that they need."""


def check_trackers(settings: TrainSettings) -> None:
    """Raise `UsageError` where a tracker's package is not installed, or nobody has logged in to it."""
    for name in NAMES:
        if not getattr(settings, name):
            continue
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of this name is no package
            raise UsageError(f"--{name} needs the package {name}: pip install {name}")
    if settings.wandb:
        from visionkit.tracking.wandb_log import check_login

        check_login()


@contextmanager
def tracking(learn: Learner, run: Run, recording: Recording, note: Callable[[str], None]) -> Iterator[None]:
    """Log what `learn` is trained for meanwhile; afterwards the pictures of `run` and its final figures.

    Args:
        learn: gets the trackers' callbacks.
        run: whose settings say which trackers.
        recording: another callback of `learn`.
        note: told where the last of it could not be logged, which ends no run.

    Raises:
        VisionkitError: Weights & Biases refuses.
    """
    trackers = _trackers(run, recording)
    learn.add_cbs(trackers)
    try:
        yield
    finally:
        learn.remove_cbs(trackers)
        for tracker in trackers:
            try:
                tracker.finish(run)
            except Exception as error:
                note(f"logging    {type(tracker).__name__} was not closed: {error or type(error).__name__}")


def _trackers(run: Run, recording: Recording) -> list[Any]:
    found: list[Any] = []
    if run.info["settings"].get("tensorboard"):
        from visionkit.tracking.tensorboard_log import TensorBoardLog

        found.append(TensorBoardLog(run.path / "tensorboard", recording))
    if run.info["settings"].get("wandb"):
        from visionkit.tracking.wandb_log import WandbLog

        found.append(WandbLog.of(run))
    return found
