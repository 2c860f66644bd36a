"""What a training step computes on: plain tensors, with the channels innermost where that is the faster."""

from __future__ import annotations

from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.learner import CastToTensor, Learner
from torch import Tensor

from visionkit.training.hardware import leave_autocast
from visionkit.training.parts import Parts


class PlainStep:
    """The forward pass, loss, backward pass and optimiser of one batch, without fastai's tensor classes.

    Fastai's `TensorBase` runs Python code around every operation that one takes part in, and its heads, U-Net
    and losses make such tensors again from the plain ones that they are given. In here no such code runs,
    and what is left of a batch is plain. An error leaves no autocast behind.

    `install` puts it in the place of the method of a Learner.

    Args:
        learn: whose batches they are.
        parts: a callback of `learn` that computes what memory has no room for.
    """

    def __init__(self, learn: Learner, parts: Parts) -> None:
        self.learn, self.parts = learn, parts

    @classmethod
    def install(cls, learn: Learner, parts: Parts) -> None:
        """Let `learn` make its steps like this."""
        learn.add_cb(parts)
        learn._do_one_batch = cls(learn, parts)

    def __call__(self) -> None:
        try:
            with torch._C.DisableTorchFunctionSubclass():
                self.parts.compute()
                if isinstance(self.learn.pred, Tensor):
                    self.learn.pred = self.learn.pred.as_subclass(Tensor)
        except BaseException:
            leave_autocast(self.learn)
            raise


class InnermostChannels(Callback):
    """Gives the network images with the channels innermost in memory, as its weights have them.

    Batches that come so are left as they are.
    """

    order = CastToTensor.order + 0.3

    def before_batch(self) -> None:
        self.learn.xb = tuple(map(innermost, self.xb))


def innermost(value: Any) -> Any:
    """A batch of images with the channels innermost in memory; anything else as it is."""
    if isinstance(value, Tensor) and value.ndim == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value
