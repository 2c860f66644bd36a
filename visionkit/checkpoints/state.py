"""What of a Learner a checkpoint holds, and how a Learner goes on from there."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from fastai.learner import Learner
from torch import Tensor

from visionkit.checkpoints.form import Checkpoint
from visionkit.checkpoints.random_states import random_states, set_random_states


class Kept(Protocol):
    """A callback that has something to keep in checkpoints; its class's name is the key."""

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, which the caller copies, and values that JSON can hold."""

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Be what `checkpoint_state` was taken of."""


def learner_state(learn: Learner, with_optimizer: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, copied to the CPU, and the entries of `Values` that `learn` decides.

    Args:
        learn: at the end of a batch or an epoch, or between two fits.
        with_optimizer: between stages its averages are dropped anyway.
    """
    tensors = {f"model.{name}": value for name, value in learn.model.state_dict().items()}
    values: dict[str, Any] = {"callbacks": {}}
    if with_optimizer:
        of_optimizer, values["optimizer"] = _optimizer_state(learn)
        tensors |= of_optimizer
        if getattr(learn, "scaler", None) is not None:
            values["scaler"] = learn.scaler.state_dict()
        values["progress"], values["iterations"] = float(learn.pct_train), int(learn.train_iter)
    for name, callback in _kept(learn).items():
        found, values["callbacks"][name] = callback.checkpoint_state()
        tensors |= {f"callback.{name}.{key}": value for key, value in found.items()}
    of_random, values["random"] = random_states()
    tensors |= {f"random.{name}": value for name, value in of_random.items()}
    return {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}, values


def restore(learn: Learner, checkpoint: Checkpoint) -> None:
    """Make weights, optimiser, scaler, callbacks and random states of `learn` those of `checkpoint`.

    Raises:
        RuntimeError, KeyError: it is of another network.
    """
    values = checkpoint.values
    learn.model.load_state_dict(checkpoint.part("model"))
    if values.optimizer is not None:
        _restore_optimizer(learn, checkpoint.part("optimizer"), values.optimizer)
        learn.pct_train, learn.train_iter = values.progress, values.iterations
        if values.scaler and getattr(learn, "scaler", None) is not None:
            learn.scaler.load_state_dict(values.scaler)
    for name, callback in _kept(learn).items():
        if name in values.callbacks:
            callback.go_on_from(checkpoint.part(f"callback.{name}"), values.callbacks[name])
    set_random_states(checkpoint.part("random"), values.random)


def _kept(learn: Learner) -> dict[str, Kept]:
    """By the type: a callback's own attributes include those of the Learner."""
    return {
        type(callback).__name__: callback for callback in learn.cbs if hasattr(type(callback), "go_on_from")
    }


def _optimizer_state(learn: Learner) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    plain: list[dict[str, Any]] = []
    state = learn.opt.state_dict()
    for number, entries in enumerate(state["state"]):
        plain.append({})
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{number}.{name}"] = value
            else:
                plain[-1][name] = value
    hypers = [{name: _number(value) for name, value in hyper.items()} for hyper in state["hypers"]]
    return tensors, {"state": plain, "hypers": hypers}


def _restore_optimizer(learn: Learner, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    device = next(learn.model.parameters()).device
    state = [dict(entries) for entries in values["state"]]
    for name, value in tensors.items():
        number, _, entry = name.partition(".")
        state[int(number)][entry] = value.to(device, copy=True)
    own = learn.opt.state_dict()
    if [len(own["state"]), len(own["hypers"])] != [len(state), len(values["hypers"])]:
        raise KeyError("the optimiser has other parameters")
    learn.opt.load_state_dict({"state": state, "hypers": [dict(hyper) for hyper in values["hypers"]]})


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, Tensor)) else value
