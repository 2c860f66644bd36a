"""The losses of labels, tags and masks: fastai's where it has them, and theirs with what they lack.

All of them know activation and decoding as fastai's own do, give a loss for each image or pixel where
`reduction` is "none", and can be pickled.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from fastai.layers import NoneReduce
from fastai.losses import BaseLoss, BCEWithLogitsLossFlat, CrossEntropyLossFlat, DiceLoss, FocalLossFlat
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from visionkit.settings import TrainSettings
from visionkit.tasks.options import loss_name

GAMMA = 2.0
"""How much focal losses turn to what is hard, as in Lin et al. (arXiv:1708.02002)."""


def label_loss(settings: TrainSettings, weights: Tensor | None = None) -> BaseLoss:
    """The loss for one label an image: logits (images, classes), class indices (images,).

    Args:
        settings: `loss` and `label_smoothing`.
        weights: of the classes; a mean over images is then their weighted mean.
    """
    options: dict[str, Any] = {} if weights is None else {"weight": weights}
    name = loss_name(settings, "single-label")
    if name == "focal":
        return SoftmaxFocalLoss(**options)
    if settings.label_smoothing:
        options["label_smoothing"] = settings.label_smoothing
    if name == "bce":
        return OneHotLoss(**options)
    return CrossEntropyLossFlat(**options) if weights is None else CountingCrossEntropyLoss(**options)


def tag_loss(settings: TrainSettings, threshold: float, weights: Tensor | None = None) -> BaseLoss:
    """The loss for any number of tags: logits and 0/1 (images, tags).

    Args:
        settings: `loss` and `label_smoothing`.
        threshold: above which probability a tag counts as predicted.
        weights: of each tag where it is there; where it is not, every tag weighs 1.
    """
    options: dict[str, Any] = {} if weights is None else {"pos_weight": weights}
    if loss_name(settings, "multi-label") == "focal":
        return TagFocalLoss(thresh=threshold, **options)
    if settings.label_smoothing:
        return SmoothTagLoss(settings.label_smoothing, thresh=threshold, **options)
    return BCEWithLogitsLossFlat(thresh=threshold, **options)


def mask_loss(settings: TrainSettings, codes: int, void: int | None, weights: Tensor | None = None) -> Any:
    """The loss for a code at every pixel: logits (images, codes, height, width), targets without codes.

    Args:
        settings: `loss` and `label_smoothing`.
        codes: how many there are.
        void: the code whose pixels count nowhere.
        weights: of the codes, 0 for `void`.
    """
    options: dict[str, Any] = {"axis": 1, "ignore_index": -100 if void is None else void}
    if weights is None and void is not None and settings.label_smoothing:
        weights = torch.ones(codes)
        weights[void] = 0  # nor does a smooth target have a share of void
    if weights is not None:
        options["weight"] = weights
    name = loss_name(settings, "segmentation")
    if name == "focal":
        return SoftmaxFocalLoss(**options)
    dice = MaskDiceLoss(void, weights)
    if name == "dice":
        return dice
    if settings.label_smoothing:
        options["label_smoothing"] = settings.label_smoothing
    every_pixel_counts = void is None and weights is None
    cross_entropy = (CrossEntropyLossFlat if every_pixel_counts else CountingCrossEntropyLoss)(**options)
    return CrossEntropyDiceLoss(cross_entropy, dice) if name == "cross-entropy+dice" else cross_entropy


class CountingCrossEntropyLoss(CrossEntropyLossFlat):
    """Fastai's `CrossEntropyLossFlat`, whose mean is 0 where no target counts: there torch's is NaN, and one
    such batch would end a training.
    """

    def __init__(self, *, axis: int = -1, **kwargs: Any) -> None:
        BaseLoss.__init__(self, _CountingCrossEntropy, axis=axis, **kwargs)


class SoftmaxFocalLoss(FocalLossFlat):
    """Fastai's `FocalLossFlat` that can leave out a class; weights are those of the weighted mean only.

    In fastai's own, they also change how hard an example is taken to be.
    """

    def __init__(
        self, *, axis: int = -1, weight: Tensor | None = None, ignore_index: int = -100, gamma: float = GAMMA
    ) -> None:
        BaseLoss.__init__(self, _SoftmaxFocal, gamma, weight, ignore_index, axis=axis)


class OneHotLoss(CrossEntropyLossFlat):
    """Binary cross-entropy of every class, for one label an image; its mean over the classes.

    Activation is softmax all the same, so that an image's probabilities add up to 1.
    """

    def __init__(self, *, weight: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        BaseLoss.__init__(self, _OneHot, label_smoothing, weight)


class SmoothTagLoss(BCEWithLogitsLossFlat):
    """Binary cross-entropy with targets that are `smoothing / 2` away from 0 and 1."""

    def __init__(self, smoothing: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.smoothing = smoothing

    def __call__(self, inp: Tensor, targ: Tensor, **kwargs: Any) -> Tensor:
        smooth = targ.float() * (1 - self.smoothing) + self.smoothing / 2
        return super().__call__(inp, smooth, **kwargs)


class TagFocalLoss(BCEWithLogitsLossFlat):
    """Torchvision's `sigmoid_focal_loss` without its balance of tags that are there and tags that are not."""

    def __init__(
        self, *, thresh: float = 0.5, pos_weight: Tensor | None = None, gamma: float = GAMMA
    ) -> None:
        BaseLoss.__init__(self, _TagFocal, gamma, pos_weight, flatten=False, floatify=True)
        self.thresh = thresh


class MaskDiceLoss:
    """Fastai's `DiceLoss`, as a mean over images and codes in which the pixels of `void` count nowhere.

    Args:
        void: the code that is left out; it has no part in the mean over codes either.
        weights: of the codes in their mean.
    """

    axis = 1

    def __init__(self, void: int | None = None, weights: Tensor | None = None) -> None:
        self.void, self.weights, self.reduction = void, weights, "mean"
        self._dice = DiceLoss(axis=self.axis, reduction="none")

    def __call__(self, pred: Tensor, targ: Tensor) -> Tensor:
        pred, targ = pred.as_subclass(Tensor), targ.as_subclass(Tensor).long()
        weights = pred.new_ones(pred.shape[1]) if self.weights is None else self.weights.to(pred)
        if self.void is not None:
            # A void pixel becomes one that is predicted as void for certain: it is part of no other code.
            certain = pred.new_full((1, pred.shape[1], 1, 1), -torch.inf)
            certain[:, self.void] = 0
            pred = torch.where((targ == self.void).unsqueeze(1), certain, pred)
            weights = weights.clone()
            weights[self.void] = 0
        losses = self._dice(pred, targ).as_subclass(Tensor) @ (weights / weights.sum())
        return _reduced(losses, self.reduction)

    def activation(self, x: Tensor) -> Tensor:
        """Probabilities of the codes."""
        return F.softmax(x, dim=self.axis)

    def decodes(self, x: Tensor) -> Tensor:
        """The most probable code."""
        return x.argmax(dim=self.axis)


class CrossEntropyDiceLoss(MaskDiceLoss):
    """The sum of cross-entropy and `MaskDiceLoss`; for each image, cross-entropy is its mean over pixels."""

    def __init__(self, cross_entropy: CrossEntropyLossFlat, dice: MaskDiceLoss) -> None:
        super().__init__(dice.void, dice.weights)
        self.cross_entropy = cross_entropy

    def __call__(self, pred: Tensor, targ: Tensor) -> Tensor:
        self.cross_entropy.to(pred.device)
        if self.reduction == "mean":
            entropy = self.cross_entropy(pred, targ).as_subclass(Tensor)
        else:
            with NoneReduce(self.cross_entropy) as loss:
                pixels = loss(pred, targ).as_subclass(Tensor)
            entropy = _reduced(pixels.view(len(pred), -1).mean(1), self.reduction)
        return entropy + super().__call__(pred, targ)


class _CountingCrossEntropy(nn.CrossEntropyLoss):
    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        if self.reduction != "mean":
            return super().forward(inp, targ)
        total = F.cross_entropy(
            inp,
            targ,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        # Whether a target counts is decided where the targets are: to ask would wait for the GPU.
        count = self._weights(targ).sum(dtype=total.dtype)
        return torch.where(count > 0, total / count.clamp(min=torch.finfo(total.dtype).tiny), total * 0)

    def _weights(self, targets: Tensor) -> Tensor:
        counted = targets != self.ignore_index
        return counted if self.weight is None else counted * self.weight[torch.where(counted, targets, 0)]


class _Reducing(nn.Module):
    """A loss with class weights and fastai's `reduction`."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None) -> None:
        super().__init__()
        self.reduction = "mean"
        self.register_buffer("weight", weight)

    def reduced(self, losses: Tensor, targets: Tensor, ignored: int = -100) -> Tensor:
        """`losses`, each with its target's weight; their mean as torch's `CrossEntropyLoss` takes it."""
        counted = targets != ignored
        weights = counted.to(losses)
        if self.weight is not None:
            weights = weights * self.weight[torch.where(counted, targets, 0)]
        if self.reduction == "mean":
            return (losses * weights).sum() / weights.sum().clamp(min=torch.finfo(losses.dtype).tiny)
        return _reduced(losses * weights, self.reduction)


class _SoftmaxFocal(_Reducing):
    def __init__(self, gamma: float, weight: Tensor | None, ignore_index: int) -> None:
        super().__init__(weight)
        self.gamma, self.ignore_index = gamma, ignore_index

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        inp, targ = inp.as_subclass(Tensor), targ.as_subclass(Tensor).long()
        losses = F.cross_entropy(inp, targ, ignore_index=self.ignore_index, reduction="none")
        return self.reduced((1 - torch.exp(-losses)) ** self.gamma * losses, targ, self.ignore_index)


class _OneHot(_Reducing):
    def __init__(self, smoothing: float, weight: Tensor | None) -> None:
        super().__init__(weight)
        self.smoothing = smoothing

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        inp, targ = inp.as_subclass(Tensor), targ.as_subclass(Tensor).long()
        classes = inp.shape[1]
        wanted = F.one_hot(targ, classes).to(inp) * (1 - self.smoothing) + self.smoothing / classes
        losses = F.binary_cross_entropy_with_logits(inp, wanted, reduction="none").mean(1)
        return self.reduced(losses, targ)


def divides_by_weights(module: nn.Module) -> bool:
    """Whether this mean over targets divides by the weights of those that count, and not by their number."""
    return isinstance(module, (nn.CrossEntropyLoss, nn.NLLLoss, _Reducing))


class _TagFocal(nn.Module):
    pos_weight: Tensor | None

    def __init__(self, gamma: float, pos_weight: Tensor | None) -> None:
        super().__init__()
        self.gamma, self.reduction = gamma, "mean"
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        inp, targ = inp.as_subclass(Tensor), targ.as_subclass(Tensor)
        losses: Tensor = sigmoid_focal_loss(inp, targ, alpha=-1, gamma=self.gamma)
        if self.pos_weight is not None:
            losses = losses * (1 + (self.pos_weight - 1) * targ)
        return _reduced(losses, self.reduction)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
