"""MixUp and CutMix: training images that are mixed of two, and their labels with them."""

from __future__ import annotations

import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import CutMix, MixHandler, MixUp
from fastai.learner import CastToTensor
from torch.distributions.beta import Beta


class MixUpOrCutMix(MixUp, CutMix):
    """For every batch either fastai's `MixUp` or its `CutMix`, as a coin falls.

    Args:
        mixup: alpha of `MixUp`.
        cutmix: alpha of `CutMix`.
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        MixHandler.__init__(self, mixup)
        self._distributions = {
            kind: Beta(torch.tensor(alpha), torch.tensor(alpha))
            for kind, alpha in ((MixUp, mixup), (CutMix, cutmix))
        }

    def before_batch(self) -> None:
        kind = MixUp if torch.rand(()) < 0.5 else CutMix
        self.distrib = self._distributions[kind]
        kind.before_batch(self)


def mixing_callbacks(mixup: float, cutmix: float) -> list[Callback]:
    """The callbacks for `--mixup` and `--cutmix`, whose alphas these are; 0 leaves one out."""
    if mixup and cutmix:
        callbacks: list[Callback] = [MixUpOrCutMix(mixup, cutmix)]
    else:
        callbacks = [kind(alpha) for kind, alpha in ((MixUp, mixup), (CutMix, cutmix)) if alpha]
    for callback in callbacks:
        callback.order = CastToTensor.order + 0.5  # what is mixed are plain tensors
    return callbacks
