"""The callback that saves checkpoints: now and then, at the end of epochs and stages, and before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastai.callback.core import Callback
from fastai.learner import Learner

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Checkpoint, Position, Values
from visionkit.checkpoints.state import learner_state
from visionkit.errors import VisionkitError
from visionkit.runs import only_one
from visionkit.training.averaging import Averaging
from visionkit.training.finite import weights_are_finite
from visionkit.training.interruption import Interruption
from visionkit.training.stages import Stage

SHARE = 0.02
"""Of the training's time that saving at the ends of epochs may take; stages' ends are always saved."""


SPEED = 4e8
"""Bytes a second that checkpoints are taken to be written with, before one was."""


class Saving(Callback):
    """Saves the training of a run.

    A training that is asked to end is saved at the end of its batch. Where a checkpoint cannot be written,
    or weights are no numbers, the training is told and goes on; the last checkpoint stays.

    Args:
        folder: of the run's checkpoints.
        interruption: knows whether the training was asked to end.
        stages: all of the training.
        note: told about what was saved last, and what could not be.
        every: seconds after which is saved in the midst of an epoch.
        started: when the training would have begun, by `time.perf_counter`, had it never been broken off.
    """

    order = 90  # after whatever else changes at the end of a batch

    def __init__(
        self,
        folder: CheckpointFolder,
        interruption: Interruption,
        stages: list[Stage],
        note: Callable[[str], None],
        every: float,
        started: float,
    ) -> None:
        self.folder, self.interruption, self.stages, self.note = folder, interruption, stages, note
        self.every = every
        self.stage: Stage | None = None
        """That is trained; None while nothing of the run is, as in a search for a rate."""
        self.rate: float | None = None
        self.batch_sizes: list[int] = []
        self.reached: tuple[int, int] | None = None
        """Epochs of the stage and batches after them that are done; kept where processes may be lost."""
        self.spent = 0.0
        """Seconds that saving took."""
        self._started = started
        self._began = self._saved = time.perf_counter()
        self._cost = 0.0

    @property
    def seconds(self) -> float:
        """Of the whole training."""
        return time.perf_counter() - self._started

    def after_batch(self) -> None:
        if self.stage is None:
            return
        if not self.training:
            if self.interruption.asked:
                self._save_trained()
            return
        batch = self.iter + 1
        if batch < self.n_iter and (self.interruption.asked or self._due()):
            self.save(Position(stage=self.stage.number, epoch=self.epoch, batch=batch))
            self.learn.waiting.batch_ended()  # saving is no waiting for data

    def after_train(self) -> None:
        """Validating changes nothing of it."""
        if self.stage is not None and (self.interruption.asked or self._due()):
            self._save_trained()

    def after_epoch(self) -> None:
        if self.stage is None or self.epoch + 1 >= self.n_epoch:  # `stage_done` follows
            return
        if self.interruption.asked or self._due() or self._is_cheap():
            self.save(Position(stage=self.stage.number, epoch=self.epoch + 1))

    def stage_done(self, learn: Learner, stage: Stage) -> None:
        """Save between `stage` and the next; `learn` is in no fit."""
        self.interruption.agree()
        self.save(Position(stage=stage.number + 1))
        self.interruption.stage_done()
        self.stage = None  # only now: another process may be gone as they agree

    def broken_off(self) -> Position | None:
        """Save what was trained, from outside of the fit, which has failed in the midst of a batch.

        The batch itself is to be done again: no step was made with it. Returns the place; None where nothing
        of the run was under way, or it could not be saved.
        """
        return self._saved_as(self.save)

    def _saved_as(self, save: Callable[[Position], bool]) -> Position | None:
        learn, stage = self.learn, self.stage
        if stage is None or self.reached is None:
            return None
        epoch, batch = self.reached
        if epoch >= learn.n_epoch:
            position = Position(stage=stage.number + 1)
        else:
            position = Position(
                stage=stage.number, epoch=epoch, batch=batch, trained=batch >= len(learn.dls.train)
            )
        return position if save(position) else None

    def save(self, position: Position) -> bool:
        """Write a checkpoint, and return whether it is; what keeps it from being so is told, and no error."""
        began = time.perf_counter()
        if not weights_are_finite(self.learn.model):
            self.note(f"checkpoint not saved at {position}: the weights are no numbers any more.")
            return False
        written = False
        try:
            self.folder.write(self._checkpoint(position))
            written = True
        except OSError as error:
            reason = error.strerror or error
            self.note(
                f"checkpoint not saved at {position}: {error.filename or self.folder.path}: {reason}. "
                "Training goes on; what is saved already stays."
            )
        self._saved = time.perf_counter()
        self._cost = self._saved - began
        self.spent += self._cost
        if written and self.interruption.asked:
            self.note(f"saved      at {position}")
        return written

    def _save_trained(self) -> None:
        assert self.stage is not None
        self.save(Position(stage=self.stage.number, epoch=self.epoch, batch=self.n_iter, trained=True))

    def _due(self) -> bool:
        return time.perf_counter() - self._saved >= self.every

    def _is_cheap(self) -> bool:
        """Whether all saving would stay within its share, the stage's end included, if each takes as long as
        the last one did, or as a disk of no great speed would.
        """
        cost = self._cost
        if not cost:
            weights = sum(value.nbytes for value in self.learn.model.state_dict().values())
            cost = 3 * weights / SPEED  # with both of the optimiser's averages
        return self.spent + 2 * cost <= SHARE * (time.perf_counter() - self._began)

    def _checkpoint(self, position: Position) -> Checkpoint:
        learn = self.learn
        for callback in learn.cbs:
            if isinstance(callback, Averaging):
                callback.swap_back()
        tensors, found = learner_state(learn, with_optimizer=not position.between)
        values = Values(
            position=position,
            stages=[stage.as_dict() for stage in self.stages],
            pretrained=learn.starts_pretrained,
            size=learn.dls.settings.size,
            batch_size=learn.dls.train.bs,
            batch_sizes=list(self.batch_sizes),
            rate=self.rate,
            loader=learn.dls.train.epoch_state(),
            seconds=self.seconds,
            **found,
        )
        return Checkpoint(values, tensors)


class LeftToTheFirst(Saving):
    """In a process that trains together with others, and is not the first of them: leaves saving to that."""

    name = "saving"

    def save(self, position: Position) -> bool:
        """The first process saves."""
        self._saved = time.perf_counter()
        return False

    def broken_off(self) -> Position | None:
        """Save in place of the first process where that is gone, and its run's folder is to be seen here."""
        run = self.folder.path.parent
        if not run.is_dir():
            return None
        try:
            with only_one(run):
                return self._saved_as(super().save)
        except VisionkitError:  # the first one is there, and does it itself
            return None
