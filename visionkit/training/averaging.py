"""A moving average of the weights, which validates and is what the training leaves."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Averaging(Callback):
    """Keeps an exponential moving average (EMA) of the weights; validation and predictions are made with it.

    After each step, average = decay * average + (1 - decay) * weights. The decay grows over the first steps,
    `min(decay, (1 + step) / (10 + step))`, so that a short training forgets the weights that it began with.
    BatchNorm's running means and variances are averaged in the same way, integers are not. What does not
    change while the body is frozen stays exactly as it was.

    Training itself goes on with the weights as they are, from one fit to the next; `finish` leaves the
    average in the network for good. A learning-rate search changes nothing.

    Args:
        decay: from 0 to below 1; 0.999 averages over about the last 1,000 steps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.step = 0
        self.averages: list[Tensor] = []
        self._swapped = False

    def before_fit(self) -> None:
        if not self._searching and not self.averages:
            self.averages = [value.clone() for value in averaged_values(self.model)]

    def after_step(self) -> None:
        if self.averages and not self._searching:
            self.step += 1
            update = get_ema_multi_avg_fn(min(self.decay, (1 + self.step) / (10 + self.step)))
            update(self.averages, averaged_values(self.model), self.step)

    def before_validate(self) -> None:
        if self.averages and not self._searching and not self._swapped:
            self._swap()

    def after_validate(self) -> None:
        if self._swapped:
            self._swap()

    def finish(self) -> None:
        """Put the average into the network for good, and begin a new one with the next fit."""
        if self.averages and not self._swapped:
            self._swap()
        self.averages, self.step, self._swapped = [], 0, False

    def restart(self, averages: list[Tensor], step: int) -> None:
        """Go on from `averages` after `step` steps, after a fit that was broken off."""
        self.averages, self.step, self._swapped = averages, step, False

    def swap_back(self) -> None:
        """Put the weights themselves into the network, where a validation was broken off."""
        if self._swapped:
            self._swap()

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The averages and how many steps are in them."""
        return {str(number): value for number, value in enumerate(self.averages)}, {"step": self.step}

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        device = next(self.model.parameters()).device
        averages = [tensors[str(number)].to(device, copy=True) for number in range(len(tensors))]
        self.restart(averages, int(values["step"]))

    @property
    def _searching(self) -> bool:
        return hasattr(self.learn, "lr_finder")

    @torch.no_grad()
    def _swap(self) -> None:
        for average, value in zip(self.averages, averaged_values(self.model)):
            kept = value.clone()
            value.copy_(average)
            average.copy_(kept)
        self._swapped = not self._swapped


def averaged_values(model: nn.Module) -> list[Tensor]:
    """The parameters and buffers that an average can be taken of: all that are no integers, each once."""
    values = (value.detach() for value in chain(model.parameters(), model.buffers()))
    return [value for value in values if value.is_floating_point()]


def averaging_callbacks(decay: float) -> list[Callback]:
    """The callback for `--ema`; none for 0."""
    return [Averaging(decay)] if decay else []


def finish_averaging(learn: Learner) -> None:
    """Leave the averaged weights in the network of `learn`, where it averages."""
    for callback in learn.cbs:
        if isinstance(callback, Averaging):
            callback.finish()
