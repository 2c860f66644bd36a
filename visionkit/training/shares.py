"""What a part of a batch adds to the loss of the whole one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from visionkit.training.losses import CrossEntropyDiceLoss, MaskDiceLoss, divides_by_weights

Targets = tuple[Any, ...]


def loss_of_part(loss_func: Any, predicted: Tensor, part: Targets, whole: Targets) -> Tensor:
    """The loss of a part, scaled so that the sum over all parts is the loss of the whole batch.

    Most losses are means over images. With class weights, or pixels that count nowhere, a mean divides by the
    weights of the targets that count, of which each part has another share. A loss that is not reduced stays
    as it is.

    Args:
        loss_func: of visionkit or fastai; any other is taken to be a mean over images.
        predicted: for the part.
        part: its targets.
        whole: those of the batch.
    """
    if getattr(loss_func, "reduction", "mean") != "mean":
        unscaled: Tensor = loss_func(predicted, *part)
        return unscaled
    images = len(part[0]) / len(whole[0])
    if isinstance(loss_func, CrossEntropyDiceLoss):
        cross_entropy = loss_func.cross_entropy
        cross_entropy.to(predicted.device)
        dice = MaskDiceLoss.__call__(loss_func, predicted, *part)
        return loss_of_part(cross_entropy, predicted, part, whole) + dice * images
    loss: Tensor = loss_func(predicted, *part)
    module = getattr(loss_func, "func", None)
    if loss.ndim:
        return loss
    if not isinstance(module, nn.Module) or not divides_by_weights(module) or part[0].is_floating_point():
        return loss * images
    return loss * (_counted(module, part[0]) / _counted(module, whole[0]))


def _counted(module: Any, targets: Tensor) -> Tensor:
    """What the mean over these targets divides by."""
    counted = targets != getattr(module, "ignore_index", -100)
    if module.weight is None:
        return counted.sum().clamp(min=1)
    weights = counted * module.weight.to(targets.device)[torch.where(counted, targets, 0)]
    return weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
