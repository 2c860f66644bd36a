"""Metrics of a validation that several processes have shared: the same as one alone would have found."""

from __future__ import annotations

from typing import Any

import torch
from fastai.learner import AvgLoss, AvgMetric, Learner
from fastai.metrics import AccumMetric
from torch import Tensor

from visionkit.distributed.world import World


def gather_metrics(learn: Learner, world: World) -> None:
    """Put into the validation metrics of `learn` what all processes have accumulated.

    Sums and counts are added, collected predictions and targets put together. Metrics of torchmetrics do so
    by themselves when their value is asked for. Any other metric names what it sums in `sums`.

    Raises:
        TypeError: nobody knows how to gather a metric.
    """
    for metric in learn.recorder._valid_mets:
        if isinstance(metric, (AvgLoss, AvgMetric)):
            _add(metric, ("total", "count"), world)
        elif isinstance(metric, AccumMetric):
            _put_together(metric, world)
        elif hasattr(metric, "sums"):
            _add(metric, metric.sums, world)
        elif not hasattr(metric, "metric"):
            raise TypeError(f"the metric {metric.name} cannot be gathered from several processes")


def _add(metric: Any, names: tuple[str, ...], world: World) -> None:
    own = [float(getattr(metric, name)) for name in names]
    sums = torch.tensor(world.gathered(own), dtype=torch.float64).sum(0).tolist()
    for name, total in zip(names, sums):
        kept = getattr(metric, name)
        setattr(metric, name, torch.tensor(total) if isinstance(kept, Tensor) else type(kept)(total))


def _put_together(metric: AccumMetric, world: World) -> None:
    for name in ("preds", "targs"):
        own = [value.detach().cpu().as_subclass(Tensor) for value in getattr(metric, name)]
        setattr(metric, name, [value for values in world.gathered(own) for value in values])
