"""Batches that memory has no room for, computed in parts with the same result."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from math import ceil
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.mixup import MixHandler
from fastai.callback.training import GradientAccumulation
from fastai.learner import CancelBackwardException, CancelStepException, Learner
from torch import Tensor, nn

from visionkit.training.hardware import Autocast, leave_autocast
from visionkit.training.memory import ran_out_of_memory
from visionkit.training.shares import loss_of_part


class Parts(Callback):
    """Computes a batch, and where memory runs out computes it again in 2, 4, … parts.

    Gradients of the parts are added up, and the optimiser steps once, as for the whole batch: loss and
    gradients are those of the whole, but for rounding and for BatchNorm, which sees a part at a time. Later
    batches are computed in parts of that size at once, for the rest of the run; validation has a size of its
    own. Callbacks see one part after the other from `after_pred` to the backward pass, and then the whole.

    Args:
        enabled: whether to; else the error is raised, as it is where a part of one image is too large.
        note: told once of each size.
    """

    order = -200  # knows of a step before anybody has a part in it

    def __init__(self, enabled: bool = True, note: Callable[[str], None] = print) -> None:
        self.enabled, self.note = enabled, note
        self.most: dict[str, int | None] = {"training": None, "validation": None}
        """Images that are computed at once; None where whole batches are."""
        self._stepping = False

    def before_step(self) -> None:
        self._stepping = True

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """How many images are computed at once."""
        return {}, dict(self.most)

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        self.most = {kind: values[kind] for kind in self.most}

    def compute(self) -> None:
        """What fastai does with a batch from the forward pass to the optimiser."""
        ran_out = ""
        while True:
            self._stepping = False
            try:
                self._compute()
                return
            except ValueError as error:  # BatchNorm's, of a part with a single value
                if not ran_out or "more than 1 value per channel" not in str(error):
                    raise
                raise torch.OutOfMemoryError(ran_out) from error
            except Exception as error:
                if not (ran_out_of_memory(error) and self._can_divide()):
                    raise
                ran_out = str(error) or type(error).__name__
            # Out here the error is gone, and what it held of the batch.
            self._let_go()
            self._divide()

    @property
    def _kind(self) -> str:
        return "training" if self.learn.training else "validation"

    @property
    def _images(self) -> int:
        return len(self.learn.xb[0])

    @property
    def _count(self) -> int:
        """How many parts the batch has."""
        return self._count_of(self.most[self._kind] or self._images)

    def _count_of(self, most: int) -> int:
        """How many parts it has with `most` images in each, or one more where one would be too few."""
        count = ceil(self._images / most)
        return count if self._images // count >= self._fewest else self._images // self._fewest

    @property
    def _half(self) -> int:
        """Half as many images as are computed at once; as many where less makes no sense."""
        return max(self._fewest, ceil(ceil(self._images / self._count) / 2))

    @property
    def _fewest(self) -> int:
        """Images that the network can be trained with: two where BatchNorm has one value for each."""
        norms = any(isinstance(each, nn.BatchNorm1d) and each.training for each in self.learn.model.modules())
        return 2 if norms and self.learn.training else 1

    def _can_divide(self) -> bool:
        """Whether smaller parts make sense, and lead to the same."""
        learn = self.learn
        return (
            self.enabled
            and not self._stepping
            and all(isinstance(each, Tensor) and len(each) == self._images for each in (*learn.xb, *learn.yb))
            and self._count_of(self._half) > self._count
            and not any(isinstance(callback, GradientAccumulation) for callback in learn.cbs)
        )

    def _divide(self) -> None:
        largest = ceil(self._images / self._count)
        self.most[self._kind] = self._half
        count = self._count
        steps = f", and the optimiser still steps once for all {self._images}" if self.learn.training else ""
        self.note(
            f"memory     ran out in {self._kind} with {largest} images at once: batches of {self._images} "
            f"are now computed in {count} parts of {ceil(self._images / count)}{steps}"
        )

    def _let_go(self) -> None:
        """Free what the broken-off batch holds, and be where its forward pass begins."""
        learn = self.learn
        learn.pred = learn.loss = learn.loss_grad = None
        if learn.training and learn.opt is not None:
            learn.opt.zero_grad()
        gc.collect()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        leave_autocast(learn)
        _enter_autocast(learn)

    def _compute(self) -> None:
        count = self._count
        if count == 1:
            Learner._do_one_batch(self.learn)
            return
        learn, whole = self.learn, self.learn.yb
        predicted: list[Tensor] = []
        losses: list[Tensor] = []
        with _taken_apart(learn, count) as parts:
            for become in parts:
                become()
                if predicted:
                    _enter_autocast(learn)
                self._compute_part(whole)
                predicted.append(learn.pred.detach().as_subclass(Tensor))
                if len(whole):
                    losses.append(learn.loss.detach().as_subclass(Tensor))
        learn.pred = torch.cat(predicted)
        if not len(whole):
            return
        learn.loss = torch.cat(losses) if losses[0].ndim else torch.stack(losses).sum()
        learn.loss_grad = learn.loss
        if learn.training:
            learn._with_events(learn._step, "step", CancelStepException)
            learn.opt.zero_grad()

    def _compute_part(self, whole: tuple[Tensor, ...]) -> None:
        """Forward and backward pass of what the batch is now.

        Args:
            whole: targets of the whole batch.
        """
        learn = self.learn
        learn.pred = learn.model(*learn.xb)
        learn("after_pred")
        if len(whole):
            learn.loss_grad = loss_of_part(learn.loss_func, learn.pred, learn.yb, whole)
            learn.loss = learn.loss_grad.clone()
        learn("after_loss")
        if learn.training and len(whole):
            learn._with_events(learn._backward, "backward", CancelBackwardException)


@contextmanager
def _taken_apart(learn: Learner, count: int) -> Iterator[list[Callable[[], None]]]:
    """Functions, each of which makes the batch of `learn` the next of its parts; afterwards it is whole.

    With it goes what MixUp and CutMix keep of each image: the other's label, and its share.
    """
    inputs, targets, images = learn.xb, learn.yb, len(learn.xb[0])
    mixtures = [
        (callback, callback.yb1, callback.lam)
        for callback in learn.cbs
        if isinstance(callback, MixHandler) and learn.training and getattr(callback, "stack_y", False)
    ]

    def become(place: slice) -> None:
        learn.xb, learn.yb = (tuple(each[place] for each in part) for part in (inputs, targets))
        for callback, others, shares in mixtures:
            callback.yb1 = tuple(each[place] for each in others)
            callback.lam = shares[place] if shares.ndim and len(shares) == images else shares

    ends = list(accumulate(images // count + (number < images % count) for number in range(count)))
    try:
        yield [partial(become, slice(*ends_of_part)) for ends_of_part in zip([0, *ends], ends)]
    finally:
        learn.xb, learn.yb = inputs, targets
        for callback, others, shares in mixtures:
            callback.yb1, callback.lam = others, shares


def _enter_autocast(learn: Learner) -> None:
    """Compute in the training's precision, as before every forward pass."""
    for callback in learn.cbs:
        if isinstance(callback, (Autocast, MixedPrecision)):
            callback.before_batch()
