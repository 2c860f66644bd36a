"""Losses and gradients that are no numbers any more: a training stops at once, or leaves such batches out."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from fastai.callback.core import Callback
from fastai.learner import CancelBatchException, Learner
from torch import Tensor

from visionkit.distributed.world import ALONE, World
from visionkit.errors import EndedElsewhere, VisionkitError, listing
from visionkit.training import recording
from visionkit.training.batch_files import batch_files
from visionkit.training.finite import all_finite, weights_are_finite

NAMED = 10
"""Images of a batch that are named."""
IN_A_ROW = 10
"""Batches one after the other that may be left out."""
SHARE = 0.1
"""Of an epoch's batches that may be left out; one may in any case."""
LOOK_EVERY = 20
"""Batches after which several processes look at their losses."""


class LossIsNaN(VisionkitError):
    """The loss, a gradient or a weight is NaN or infinite."""


class NonFinite(Callback):
    """Watches over the training's loss; a search for a learning rate may do as it likes.

    "stop" raises `LossIsNaN`, which names the first batch with such a loss and its images. Losses are looked
    at when the reporter hears of them, twice a second, and when an epoch's training is over: no batch waits
    for the GPU. Several processes, whose losses are the same, look after the same batches instead, since
    their clocks are not; the first one tells.

    "skip" makes no step with a batch whose loss or gradients are not finite: weights, averages and
    BatchNorm's statistics stay as they are, and the batch is told of. The GPU is waited for in every batch.
    After 10 in a row, or a tenth of an epoch, it stops. What the scaler of fp16 finds in gradients is its own
    matter.

    Args:
        on_nan: "stop" or "skip".
        note: told about batches that are left out.
    """

    order = 70  # after autocast is left and after the Recorder; before checkpoints are saved
    run_valid = False

    def __init__(self, on_nan: Literal["stop", "skip"] = "stop", note: Callable[[str], None] = print) -> None:
        self.on_nan, self.note = on_nan, note
        self.count = 0
        """Batches of the run that made no step."""
        self.world: World = ALONE
        """The processes that train together."""
        self.folder: Path | None = None
        """The folder of the run that is trained."""
        self._in_row, self._in_epoch = 0, 0
        self._losses: list[tuple[int, Tensor]] = []
        self._looked = 0.0
        self._order: Any = None
        self._before: list[tuple[Tensor, Tensor]] = []

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """How many batches were left out."""
        return {}, {"count": self.count, "in_row": self._in_row, "in_epoch": self._in_epoch}

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        self.count, self._in_row = values["count"], values["in_row"]
        self._in_epoch = values["in_epoch"]

    def before_train(self) -> None:
        self.learn.left_out = False
        self._losses, self._looked, self._in_epoch = [], time.perf_counter(), 0
        self._order = None

    def before_batch(self) -> None:
        self.learn.left_out = False
        if self._order is None and hasattr(self.dl, "epoch_state"):
            self._order = self.dl.epoch_state()
        if self._skips:
            if not self._before:
                self._before = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
            for buffer, kept in self._before:
                kept.copy_(buffer)

    def after_loss(self) -> None:
        if self._skips and not math.isfinite(loss := float(self.loss.detach().mean())):
            self._leave_out(f"its loss is {_named(loss)}")

    def before_step(self) -> None:
        scaler = getattr(self.learn, "scaler", None)
        if not self._skips or (scaler is not None and scaler.is_enabled()):
            return
        if not all_finite(each.grad for each in self.model.parameters() if each.grad is not None):
            self._leave_out("its gradients are not finite")

    def after_batch(self) -> None:
        if self._searching or self.learn.left_out:
            return
        self._in_row = 0
        if self.on_nan == "stop":
            self._losses.append((self.iter, self.loss.detach()))
            if self._due():
                self._look()

    def after_train(self) -> None:
        if self._searching:
            return
        self._look()
        if self.world.agreed(not weights_are_finite(self.model)):  # BatchNorm's statistics may be their own
            raise self._error(self.n_iter - 1, "after it, the weights are NaN or infinite")

    def after_fit(self) -> None:
        self._losses, self._before = [], []

    @property
    def _searching(self) -> bool:
        return hasattr(self.learn, "lr_finder")

    @property
    def _skips(self) -> bool:
        return self.on_nan == "skip" and not self._searching

    def _due(self) -> bool:
        if self.world.size > 1:
            return len(self._losses) >= LOOK_EVERY
        return time.perf_counter() - self._looked >= recording.TELL_EVERY

    def _look(self) -> None:
        """Read the losses since the last look, all at once."""
        losses, self._losses, self._looked = self._losses, [], time.perf_counter()
        if losses:
            values = torch.stack([loss.mean() for _, loss in losses]).tolist()
            for (number, _), value in zip(losses, values):
                if not math.isfinite(value):
                    raise self._error(number, f"the loss is {_named(value)}")

    def _leave_out(self, why: str) -> None:
        """Make nothing of the batch. Raises CancelBatchException, or LossIsNaN where there were too many."""
        self.learn.opt.zero_grad()
        for buffer, kept in self._before:
            buffer.copy_(kept)
        self.learn.left_out = True
        self.count, self._in_row, self._in_epoch = self.count + 1, self._in_row + 1, self._in_epoch + 1
        if self._in_row >= IN_A_ROW:
            raise self._error(self.iter, f"{why}; that makes {IN_A_ROW} in a row without a step")
        if self._in_epoch > max(1, int(SHARE * self.n_iter)):
            raise self._error(self.iter, f"{why}; that makes {self._in_epoch} in this epoch without a step")
        self.note(f"left out   {_place(self.learn, self.iter)}: {why}. {self._images(self.iter)}")
        raise CancelBatchException

    def _error(self, number: int, what: str) -> VisionkitError:
        if not self.world.leads:
            return EndedElsewhere(LossIsNaN.exit_code)
        learn = self.learn
        precision = getattr(getattr(learn.dls, "settings", None), "precision", "fp32")
        change = "a lower --lr" + ("" if precision == "fp32" else " or --precision fp32")
        advice = f"Train again with {change}"
        if self.folder is not None:
            run = shlex.quote(str(self.folder))
            advice += f", or go on from what was saved before with visionkit resume {run}"
            advice += (
                " --on-nan skip, which leaves such batches out; without that it would most likely meet the "
                "same batch again"
                if self.on_nan == "stop"
                else ", which would most likely meet the same batches again"
            )
        return LossIsNaN(f"{_place(learn, number)}: {what}. {self._images(number)} {advice}.")

    def _images(self, number: int) -> str:
        """The images of a batch of this epoch, in a sentence; "" where they are not known."""
        names = batch_files(self.learn.dls, self._order, number)
        return f"Its images: {listing(names, NAMED)}." if names else ""


def _place(learn: Learner, number: int) -> str:
    """Which batch of the training has this number in its epoch."""
    stage = getattr(getattr(learn, "recording", None), "stage", None)
    start = "" if stage is None else f"stage {stage.number} ({stage.size} px, {stage.name}), "
    return f"{start}epoch {learn.epoch + 1}, batch {number + 1} of {learn.n_iter}"


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
