"""`--keep best` and `--patience`: the best epoch's weights, and stages that end when nothing gets better."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from fastai.callback.core import Callback
from fastai.callback.tracker import TrackerCallback
from fastai.learner import CancelFitException, Learner
from torch import Tensor

from visionkit.training.averaging import Averaging

if TYPE_CHECKING:
    from visionkit.settings import TrainSettings
    from visionkit.tasks import Task
    from visionkit.training.recording import Recording


class KeptEpoch(NamedTuple):
    """An epoch of a run: number of its stage, and in it, both from 1."""

    stage: int
    epoch: int


class _Headline(TrackerCallback):
    """Follows the task's headline metric in what is recorded; NaN is never better.

    Args:
        task: says which metric it is, and whether lower is better.
        recording: another callback of the Learner, which knows the stage.
        reset_on_fit: forget the best figure with every stage.
    """

    best: Any

    def __init__(self, task: Task, recording: Recording, reset_on_fit: bool) -> None:
        comp = np.less if task.headline_lower_is_better else np.greater
        super().__init__(monitor=task.headline, comp=comp, reset_on_fit=reset_on_fit)
        self.recording = recording

    def _figure(self) -> float | None:
        """The best so far, for JSON."""
        return None if self.best is None or math.isinf(self.best) else float(self.best)

    def _be_at(self, figure: float | None) -> None:
        worst = math.inf if self.comp is np.less else -math.inf
        self.best = worst if figure is None else figure


class KeepBest(_Headline):
    """Keeps the weights of the epoch with the best figure at the size that is trained at, as they validated.

    That is with the average's weights where there is one. Of equal figures the first counts.
    """

    order = 80  # after the figures are recorded, before checkpoints are saved

    def __init__(self, task: Task, recording: Recording) -> None:
        super().__init__(task, recording, reset_on_fit=False)
        self.kept: KeptEpoch | None = None
        self._size = 0
        self._weights: dict[str, Tensor] = {}

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The kept weights, and of which epoch they are."""
        kept = None if self.kept is None else list(self.kept)
        return dict(self._weights), {"kept": kept, "size": self._size, "figure": self._figure()}

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        self._weights, self._size = dict(tensors), values["size"]
        self.kept = None if values["kept"] is None else KeptEpoch(*values["kept"])
        self._be_at(values["figure"])

    def before_fit(self) -> None:
        stage = self.recording.stage
        if stage is None:
            self.run = False  # until the end of what is no training
            return
        again = self.kept is not None and self.kept.stage >= stage.number
        if again or self._size != stage.size:
            self.kept, self._size, self._weights, self.best = None, stage.size, {}, None
        super().before_fit()

    def after_epoch(self) -> None:
        super().after_epoch()
        if self.new_best:
            assert self.recording.stage is not None
            self.kept = KeptEpoch(self.recording.stage.number, self.epoch + 1)
            averages = [callback for callback in self.learn.cbs if isinstance(callback, Averaging)]
            for callback in averages:
                callback.before_validate()
            state = self.model.state_dict()
            self._weights = {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
            for callback in averages:
                callback.after_validate()

    def finish(self) -> KeptEpoch | None:
        """Put the kept weights into the network; None, and nothing done, where no figure was a number."""
        if self.kept is not None:
            self.model.load_state_dict(self._weights)
        self._weights = {}
        return self.kept


class EarlyStop(_Headline):
    """Ends an unfrozen stage after `patience` epochs without a better figure; the next stage follows.

    Args:
        task: says which figure.
        recording: another callback of the Learner.
        patience: in epochs.
        note: told why a stage ends.
    """

    order = 85  # after the best weights are kept, before checkpoints are saved

    def __init__(
        self, task: Task, recording: Recording, patience: int, note: Callable[[str], None] = print
    ) -> None:
        super().__init__(task, recording, reset_on_fit=True)
        self.patience, self.note = patience, note
        self._waited, self._best_epoch = 0, 0

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """How long the stage has waited for what."""
        return {}, {"waited": self._waited, "epoch": self._best_epoch, "figure": self._figure()}

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        self._waited, self._best_epoch = values["waited"], values["epoch"]
        self._be_at(values["figure"])

    def before_fit(self) -> None:
        stage = self.recording.stage
        if stage is None or stage.frozen:
            self.run = False
            return
        self._waited, self._best_epoch = 0, 0
        super().before_fit()

    def after_epoch(self) -> None:
        super().after_epoch()
        if self.new_best:
            self._waited, self._best_epoch = 0, self.epoch + 1
            return
        self._waited += 1
        if self._waited >= self.patience and self.epoch + 1 < self.n_epoch:
            since = (
                f"no better {self.monitor} since epoch {self._best_epoch} ({self.best:.4f})"
                if self._best_epoch
                else f"{self.monitor} was no number"
            )
            assert self.recording.stage is not None
            self.note(f"stage {self.recording.stage.number}: ends after epoch {self.epoch + 1}, {since}")
            raise CancelFitException


def keeping_callbacks(
    settings: TrainSettings, task: Task, recording: Recording, note: Callable[[str], None]
) -> list[Callback]:
    """The callbacks for `--keep` and `--patience`."""
    callbacks: list[Callback] = [KeepBest(task, recording)] if settings.keep == "best" else []
    if settings.patience:
        callbacks.append(EarlyStop(task, recording, settings.patience, note))
    return callbacks


def finish_keeping(learn: Learner) -> KeptEpoch | None:
    """Leave the best weights in the network of `learn`, where they are kept; of which epoch they are."""
    for callback in learn.cbs:
        if isinstance(callback, KeepBest):
            return callback.finish()
    return None
