"""Fastai's TensorBoard callback, whose steps go on from stage to stage and over a resume."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastai.callback.tensorboard import TensorBoardCallback
from torch.utils.tensorboard import SummaryWriter
from torchvision.io import decode_image

if TYPE_CHECKING:
    from visionkit.runs import Run
    from visionkit.training.recording import Recording


class _Writer(SummaryWriter):
    """Counts steps over the whole run; fastai's begin anew with each stage."""

    def __init__(self, folder: Path, recording: Recording) -> None:
        # what was logged of later steps is of a training that was resumed from an earlier one
        super().__init__(str(folder), purge_step=recording.steps)
        self.recording = recording

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, *rest: Any, **more: Any
    ) -> None:
        super().add_scalar(tag, scalar_value, self.recording.steps, *rest, **more)


class TensorBoardLog(TensorBoardCallback):
    """Logs losses and hyperparameters of each batch, and the validation's figures of each epoch.

    Args:
        folder: that is logged to; made where it is missing.
        recording: another callback of the Learner, which counts the batches of all stages.
    """

    order = 55  # before `Recording` (60), from when on a step waits for its batch

    def __init__(self, folder: Path, recording: Recording) -> None:
        super().__init__(log_dir=str(folder), trace_model=False, log_preds=False)
        self.folder, self.recording = folder, recording

    @cached_property
    def writer(self) -> _Writer:
        """Opened with the first batch, when a resumed training knows how far it is."""
        return _Writer(self.folder, self.recording)

    def _setup_writer(self) -> None:
        """Nothing yet; see `writer`."""

    def after_batch(self) -> None:
        if self.training:
            super().after_batch()

    def after_fit(self) -> None:
        if "writer" in vars(self):
            self.writer.flush()

    def finish(self, run: Run) -> None:
        """Add the pictures of `run`, and close the log."""
        if "writer" not in vars(self):
            return
        for picture in sorted((run.path / "plots").glob("*.png")):
            self.writer.add_image(picture.stem, decode_image(str(picture))[:3], self.recording.steps)
        self.writer.close()
