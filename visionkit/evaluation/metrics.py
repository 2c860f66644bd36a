"""torchmetrics' metrics as fastai metrics."""

from __future__ import annotations

from typing import Any

from fastai.learner import Learner, Metric
from torch import Tensor


class TorchMetric(Metric):
    """A torchmetrics metric over a whole validation pass, fed with class indices (the argmax over axis 1).

    That they are class indices is not checked in every batch: for that the GPU would be waited for.
    """

    def __init__(self, name: str, metric: Any) -> None:
        self._name = name
        self.metric = metric
        self.metric.validate_args = False

    @property
    def name(self) -> str:
        return self._name

    def reset(self) -> None:
        self.metric.reset()

    def accumulate(self, learn: Learner) -> None:
        predicted = learn.pred.argmax(dim=1).as_subclass(Tensor)
        self.metric.to(predicted.device).update(predicted, learn.y.as_subclass(Tensor))

    @property
    def value(self) -> float:
        return float(self.metric.compute())
