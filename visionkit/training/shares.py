"""What a part of a batch adds to the loss of the whole one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from visionkit.training.losses import CrossEntropyDiceLoss, MaskDiceLoss, divides_by_weights

Targets = tuple[Any, ...]


def loss_of_part(loss_func: Any, predicted: Tensor, part: Targets, whole: Targets) -> Tensor:
    """The loss of a part, scaled so that the sum over all parts is the loss of the whole batch.

    Args:
        loss_func: of visionkit or fastai; any other is taken to be a mean over images.
        predicted: for the part.
        part: its targets.
        whole: those of the batch.
    """
    return loss_of_share(loss_func, predicted, part, divisors(loss_func, part), divisors(loss_func, whole))


def divisors(loss_func: Any, targets: Targets) -> Tensor:
    """What the mean over these targets divides by: images, and the weights of the targets that count.

    Of parts, they add up to those of the whole; two numbers, on the device of the targets.
    """
    images = torch.tensor(float(len(targets[0])), device=targets[0].device)
    module = _weighted(loss_func, targets[0])
    counted = images if module is None else _counted(module, targets[0]).float()
    return torch.stack([images, counted])


def loss_of_share(loss_func: Any, predicted: Tensor, part: Targets, own: Tensor, whole: Tensor) -> Tensor:
    """As `loss_of_part`, where of the whole batch only its `divisors` are known.

    Most losses are means over images. With class weights, or pixels that count nowhere, a mean divides by the
    weights of the targets that count, of which each part has another share. A loss that is not reduced stays
    as it is.

    Args:
        loss_func: of visionkit or fastai; any other is taken to be a mean over images.
        predicted: for the part.
        part: its targets.
        own: the divisors of the part.
        whole: those of the batch.
    """
    if getattr(loss_func, "reduction", "mean") != "mean":
        unscaled: Tensor = loss_func(predicted, *part)
        return unscaled
    images, counted = own / whole.clamp(min=torch.finfo(own.dtype).tiny)
    if isinstance(loss_func, CrossEntropyDiceLoss):
        cross_entropy = loss_func.cross_entropy
        cross_entropy.to(predicted.device)
        dice = MaskDiceLoss.__call__(loss_func, predicted, *part)
        return cross_entropy(predicted, *part) * counted + dice * images
    loss: Tensor = loss_func(predicted, *part)
    if loss.ndim:
        return loss
    return loss * (images if _weighted(loss_func, part[0]) is None else counted)


def _weighted(loss_func: Any, targets: Tensor) -> Any:
    """The module whose mean divides by weights, or leaves targets out; None where it is over images."""
    if isinstance(loss_func, CrossEntropyDiceLoss):
        loss_func = loss_func.cross_entropy
    module = getattr(loss_func, "func", None)
    weighs = isinstance(module, nn.Module) and divides_by_weights(module)
    return module if weighs and not targets.is_floating_point() else None


def _counted(module: Any, targets: Tensor) -> Tensor:
    """The weights of the targets that count, added up."""
    counted = targets != getattr(module, "ignore_index", -100)
    if module.weight is None:
        return counted.sum()
    weights = counted * module.weight.to(targets.device)[torch.where(counted, targets, 0)]
    return weights.sum()
