"""Fastai's Recorder, for which a GPU is not waited for in every batch."""

from __future__ import annotations

from typing import Any

import torch
from fastai.learner import AvgLoss, AvgMetric, AvgSmoothLoss, Learner, Metric, Recorder
from fastai.metrics import AccumMetric
from torch import Tensor


class DeviceRecorder(Recorder):
    """Keeps losses and averages on the device; their values are read when an epoch is over.

    Fastai's own copies a loss to the CPU in every batch, and so waits until the GPU has done all its work.
    Metrics of other classes than fastai's averages do as they like.
    """

    def __init__(self, beta: float = 0.98) -> None:
        super().__init__(beta=beta)
        self.smooth_loss = SmoothLoss(beta=beta)

    @property
    def name(self) -> str:
        return "recorder"

    def after_batch(self) -> None:
        if not self.yb:
            return
        left_out = self.training and getattr(self.learn, "left_out", False)
        if not left_out:
            for metric in self._train_mets if self.training else self._valid_mets:
                metric.accumulate(_seen_by(metric, self.learn))
        if self.training:
            self.lrs.append(self.opt.hypers[-1]["lr"])
            counts = self.smooth_loss.count > 0
            self.losses.append(self.smooth_loss.value if counts else self.learn.loss.detach().mean())
            self.learn.smooth_loss = self.losses[-1]

    def checkpoint_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The smoothed loss, which goes on from epoch to epoch of a fit."""
        loss = self.smooth_loss
        return ({"smooth_loss": loss.val} if loss.count else {}), {"count": loss.count}

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `checkpoint_state`."""
        loss = self.smooth_loss
        loss.count = int(values["count"])
        loss.val = tensors.get("smooth_loss", torch.zeros(()))
        if loss.count:
            self.learn.smooth_loss = loss.value

    def after_validate(self) -> None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()  # what `_Copied` copies has arrived
        super().after_validate()


class SmoothLoss(AvgSmoothLoss):
    """Fastai's smoothed loss, kept where the loss is."""

    val: Tensor

    def accumulate(self, learn: Learner) -> None:
        loss = learn.to_detach(learn.loss.mean(), cpu=False)
        before = self.val.to(loss) if self.count else torch.zeros_like(loss)
        self.val = torch.lerp(loss, before, self.beta)
        self.count += 1


class _View:
    """A Learner as a metric sees it: all but what becomes of the tensors it asks to have."""

    def __init__(self, learn: Learner) -> None:
        self._learn = learn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learn, name)


class _OnDevice(_View):
    """Tensors stay where they are."""

    def to_detach(self, value: Any, cpu: bool = True, gather: bool = True) -> Any:
        return self._learn.to_detach(value, cpu=False, gather=gather)


class _Copied(_View):
    """Tensors are copied to the CPU without waiting for them, for metrics that only collect them."""

    def to_detach(self, value: Any, cpu: bool = True, gather: bool = True) -> Any:
        value = self._learn.to_detach(value, cpu=False, gather=gather)
        return value.to("cpu", non_blocking=True) if isinstance(value, Tensor) else value


def _seen_by(metric: Metric, learn: Learner) -> Any:
    if isinstance(metric, AccumMetric):
        return _Copied(learn)
    return _OnDevice(learn) if isinstance(metric, (AvgMetric, AvgLoss)) else learn
