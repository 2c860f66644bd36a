"""What a Learner was, so that it can be the same again."""

from __future__ import annotations

import copy
import gc
from typing import Any

import torch
from fastai.learner import Learner
from fastai.torch_core import get_random_states, set_random_states
from torch import Tensor

from visionkit.training.averaging import Averaging


class Snapshot:
    """Weights, BatchNorm's statistics, optimiser, averages and all random states of `learn`, as they are now.

    Copies are kept in the machine's memory, not on the GPU. `learn` must have an optimiser.
    """

    def __init__(self, learn: Learner) -> None:
        self.learn = learn
        self.weights = _kept(learn.model.state_dict())
        self.optimizer = _kept(learn.opt.state_dict())
        self.averages = [
            (callback, _kept(callback.averages), callback.step)
            for callback in learn.cbs
            if isinstance(callback, Averaging)
        ]
        self.loss_func, self.training = learn.loss_func, learn.model.training
        self.random = get_random_states()

    def restore(self) -> None:
        """Make the Learner what it was, after whatever has become of it; can be called again."""
        learn = self.learn
        release(learn)
        learn.loss_func = self.loss_func  # MixUp's stands there until an epoch's training is over
        learn.model.load_state_dict(self.weights)
        learn.model.train(self.training)
        learn.opt.load_state_dict(copy.deepcopy(self.optimizer))
        device = next(learn.model.parameters()).device
        for callback, averages, step in self.averages:
            callback.restart([value.to(device, copy=True) for value in averages], step)
        set_random_states(**self.random)


def release(learn: Learner) -> None:
    """Let go of the memory that an interrupted batch of `learn` holds: inputs, outputs and gradients."""
    learn._end_cleanup()
    learn.loss_grad = None
    if learn.opt is not None:
        learn.opt.zero_grad()
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _kept(value: Any) -> Any:
    """A copy in the machine's memory, of a tensor or of all tensors in a container."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {name: _kept(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "items"):
        return [_kept(each) for each in value]
    return copy.deepcopy(value)
