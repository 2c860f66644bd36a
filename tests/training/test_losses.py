"""The values of losses, against the libraries and against hand computation."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fastai.callback.mixup import NoneReduce
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, DiceLoss, FocalLossFlat
from fastai.vision.core import TensorMask
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from visionkit.settings import TrainSettings
from visionkit.training.losses import CountingCrossEntropyLoss, label_loss, mask_loss, tag_loss

CLASSES, VOID, SMOOTH = 4, 3, 0.1
WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.25])
MASK_WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.0])
MASK_LOSSES = ["cross-entropy", "focal", "dice", "cross-entropy+dice"]


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**options)


@pytest.fixture
def labelled() -> tuple[Tensor, Tensor]:
    """Logits and labels of seven images."""
    torch.manual_seed(1)
    return torch.randn(7, CLASSES), torch.tensor([0, 1, 2, 3, 0, 0, 2])


@pytest.fixture
def tagged() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(7, CLASSES), (torch.rand(7, CLASSES) < 0.4).float()


@pytest.fixture
def masked() -> tuple[Tensor, Tensor]:
    """Logits and masks of three images, with Void where the last column and the first row are."""
    torch.manual_seed(3)
    masks = torch.randint(0, VOID, (3, 5, 6))
    masks[:, :, 5] = masks[:, 0] = VOID
    return torch.randn(3, CLASSES, 5, 6), masks


def test_the_defaults_are_fastais_own_losses() -> None:
    label, tag, mask = label_loss(settings()), tag_loss(settings(), 0.3), mask_loss(settings(), 4, VOID)
    assert [type(loss) for loss in (label, tag, mask)] == [
        CrossEntropyLossFlat,
        BCEWithLogitsLossFlat,
        CountingCrossEntropyLoss,
    ]
    assert type(mask_loss(settings(), 4, None)) is CrossEntropyLossFlat
    assert (label.func.weight, label.func.label_smoothing, label.func.ignore_index) == (None, 0.0, -100)
    assert (tag.func.weight, tag.func.pos_weight, tag.thresh, tag.flatten) == (None, None, 0.3, True)
    assert (mask.func.weight, mask.func.ignore_index, mask.axis) == (None, VOID, 1)
    assert mask_loss(settings(), 4, None).func.ignore_index == -100


def test_cross_entropy_with_weights_and_smooth_labels(labelled: tuple[Tensor, Tensor]) -> None:
    logits, labels = labelled
    logs = torch.log_softmax(logits, 1)
    picked = -logs[range(7), labels] * WEIGHTS[labels]
    weighted = label_loss(settings(), WEIGHTS)(logits, labels)
    torch.testing.assert_close(Tensor(weighted), picked.sum() / WEIGHTS[labels].sum())
    smooth = label_loss(settings(label_smoothing=SMOOTH), WEIGHTS)(logits, labels)
    everywhere = -(logs * WEIGHTS).sum(1) / CLASSES
    wanted = ((1 - SMOOTH) * picked + SMOOTH * everywhere).sum() / WEIGHTS[labels].sum()
    torch.testing.assert_close(Tensor(smooth), wanted)


def test_focal_loss_of_labels(labelled: tuple[Tensor, Tensor]) -> None:
    logits, labels = labelled
    plain = label_loss(settings(loss="focal"))(logits, labels)
    torch.testing.assert_close(plain, Tensor(FocalLossFlat()(logits, labels)))
    chosen = torch.softmax(logits, 1)[range(7), labels]
    each = (1 - chosen) ** 2 * -chosen.log() * WEIGHTS[labels]
    weighted = label_loss(settings(loss="focal"), WEIGHTS)(logits, labels)
    torch.testing.assert_close(weighted, each.sum() / WEIGHTS[labels].sum())


def test_binary_cross_entropy_of_labels(labelled: tuple[Tensor, Tensor]) -> None:
    logits, labels = labelled
    targets = torch.eye(CLASSES)[labels] * (1 - SMOOTH) + SMOOTH / CLASSES
    probabilities = torch.sigmoid(logits)
    each = -(targets * probabilities.log() + (1 - targets) * (1 - probabilities).log()).mean(1)
    loss = label_loss(settings(loss="bce", label_smoothing=SMOOTH))
    torch.testing.assert_close(loss(logits, labels), each.mean())
    weighted = label_loss(settings(loss="bce", label_smoothing=SMOOTH), WEIGHTS)(logits, labels)
    torch.testing.assert_close(weighted, (each * WEIGHTS[labels]).sum() / WEIGHTS[labels].sum())
    torch.testing.assert_close(loss.activation(logits).sum(1), torch.ones(7))
    assert torch.equal(loss.decodes(loss.activation(logits)), logits.argmax(1))


def test_losses_of_tags(tagged: tuple[Tensor, Tensor]) -> None:
    logits, tags = tagged
    there, absent = torch.sigmoid(logits).log(), (1 - torch.sigmoid(logits)).log()
    weighted = tag_loss(settings(), 0.5, WEIGHTS)(logits, tags)
    torch.testing.assert_close(Tensor(weighted), -(WEIGHTS * tags * there + (1 - tags) * absent).mean())
    smooth = tags * (1 - SMOOTH) + SMOOTH / 2
    loss = tag_loss(settings(label_smoothing=SMOOTH), 0.5)(logits, tags)
    torch.testing.assert_close(Tensor(loss), -(smooth * there + (1 - smooth) * absent).mean())
    focal = tag_loss(settings(loss="focal"), 0.5)(logits, tags)
    torch.testing.assert_close(focal, sigmoid_focal_loss(logits, tags, alpha=-1, reduction="mean"))
    right = torch.where(tags == 1, there, absent)
    each = (1 - right.exp()) ** 2 * -right * torch.where(tags == 1, WEIGHTS, 1)
    torch.testing.assert_close(tag_loss(settings(loss="focal"), 0.5, WEIGHTS)(logits, tags), each.mean())


@pytest.mark.parametrize("options", [{}, {"loss": "focal"}, {"label_smoothing": SMOOTH}])
def test_losses_of_tags_decode_at_the_threshold(options: dict[str, Any]) -> None:
    loss = tag_loss(settings(**options), 0.2, WEIGHTS)
    probabilities = loss.activation(torch.tensor([[-1.0, -2.0]]))
    assert loss.decodes(probabilities).tolist() == [[True, False]]


def test_dice_without_void_is_fastais(masked: tuple[Tensor, Tensor]) -> None:
    logits, masks = masked
    loss = mask_loss(settings(loss="dice"), CLASSES, None)(logits, masks)
    torch.testing.assert_close(loss, Tensor(DiceLoss(reduction="mean")(logits, masks)))


def test_void_pixels_count_nowhere_in_dice(masked: tuple[Tensor, Tensor]) -> None:
    """As if the void pixels had been cut off, and as if Void were no code."""
    logits, masks = masked
    inner = DiceLoss(reduction="none")(logits[:, :, 1:, :5], masks[:, 1:, :5])[:, :VOID]
    loss = mask_loss(settings(loss="dice"), CLASSES, VOID)(logits, masks)
    torch.testing.assert_close(loss, Tensor(inner).mean())
    weighted = mask_loss(settings(loss="dice"), CLASSES, VOID, MASK_WEIGHTS)(logits, masks)
    share = MASK_WEIGHTS[:VOID] / MASK_WEIGHTS.sum()
    torch.testing.assert_close(weighted, (Tensor(inner) * share).sum(1).mean())


def test_focal_and_cross_entropy_of_masks(masked: tuple[Tensor, Tensor]) -> None:
    logits, masks = masked
    seen = masks != VOID
    pixels, codes = logits.movedim(1, -1)[seen], masks[seen]
    focal = mask_loss(settings(loss="focal"), CLASSES, VOID)(logits, masks)
    torch.testing.assert_close(focal, Tensor(FocalLossFlat()(pixels, codes)))
    weighted = mask_loss(settings(), CLASSES, VOID, MASK_WEIGHTS)(logits, masks)
    torch.testing.assert_close(Tensor(weighted), F.cross_entropy(pixels, codes, MASK_WEIGHTS))
    smooth = mask_loss(settings(label_smoothing=SMOOTH), CLASSES, VOID)(logits, masks)
    logs = torch.log_softmax(pixels, 1)
    spread = -logs[:, :VOID].sum(1) / CLASSES
    wanted = (1 - SMOOTH) * -logs[range(len(codes)), codes] + SMOOTH * spread
    torch.testing.assert_close(Tensor(smooth), wanted.mean())
    both = mask_loss(settings(loss="cross-entropy+dice"), CLASSES, VOID)(logits, masks)
    parts = [mask_loss(settings(loss=name), CLASSES, VOID)(logits, masks) for name in ("auto", "dice")]
    torch.testing.assert_close(both, Tensor(parts[0]) + Tensor(parts[1]))


@pytest.mark.parametrize("name", MASK_LOSSES)
@pytest.mark.parametrize("weights", [None, MASK_WEIGHTS], ids=["plain", "weighted"])
def test_no_mask_loss_learns_from_void(
    name: str, weights: Tensor | None, masked: tuple[Tensor, Tensor]
) -> None:
    logits, masks = masked
    logits.requires_grad_()
    loss = mask_loss(settings(loss=name), CLASSES, VOID, weights)
    value = loss(logits, TensorMask(masks))
    value.backward()
    gradients = logits.grad.movedim(1, -1)
    assert not gradients[masks == VOID].any() and gradients[masks != VOID].all()
    other = logits.detach() + 5 * torch.randn_like(logits) * (masks == VOID).unsqueeze(1)
    torch.testing.assert_close(Tensor(loss(other, masks)), Tensor(value.detach()))


@pytest.mark.parametrize("weights", [None, MASK_WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "options",
    [*({"loss": name} for name in MASK_LOSSES)]
    + [{"loss": name, "label_smoothing": SMOOTH} for name in ("cross-entropy", "cross-entropy+dice")],
    ids=str,
)
def test_nothing_but_void_is_no_loss(
    options: dict[str, Any], weights: Tensor | None, masked: tuple[Tensor, Tensor]
) -> None:
    """Of a batch without a pixel that counts: zero, from which nothing is learnt, and not NaN."""
    logits, masks = masked
    logits.requires_grad_()
    loss = mask_loss(settings(**options), CLASSES, VOID, weights)
    value = loss(logits, TensorMask(torch.full_like(masks, VOID)))
    value.backward()
    assert value == 0 and torch.equal(logits.grad, torch.zeros_like(logits))
    with NoneReduce(loss):
        assert not loss(logits, torch.full_like(masks, VOID)).any()


@pytest.mark.parametrize("options", [{}, {"loss": "focal"}, {"loss": "bce"}, {"label_smoothing": SMOOTH}])
def test_labels_that_weigh_nothing_are_no_loss(
    options: dict[str, Any], labelled: tuple[Tensor, Tensor]
) -> None:
    logits, labels = labelled
    logits.requires_grad_()
    loss = label_loss(settings(**options), torch.tensor([0.0, 1, 1, 1]))
    value = loss(logits, torch.zeros_like(labels))
    value.backward()
    assert value == 0 and not logits.grad.any()


LOSSES = [
    *(("label", {"loss": name, "label_smoothing": smooth}) for name, smooth in (("auto", 0), ("auto", 0.1))),
    ("label", {"loss": "focal"}),
    ("label", {"loss": "bce", "label_smoothing": 0.1}),
    *(("tag", options) for options in ({}, {"loss": "focal"}, {"label_smoothing": 0.1})),
    *(("mask", {"loss": name}) for name in MASK_LOSSES),
]


def made(kind: str, options: dict[str, Any]) -> Any:
    weights = MASK_WEIGHTS if kind == "mask" else WEIGHTS
    if kind == "label":
        return label_loss(settings(**options), weights)
    if kind == "tag":
        return tag_loss(settings(**options), 0.5, weights)
    return mask_loss(settings(**options), CLASSES, VOID, weights)


@pytest.mark.parametrize(("kind", "options"), LOSSES)
def test_losses_are_pickled_and_tell_the_loss_of_each_image(
    kind: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    logits, targets = request.getfixturevalue({"label": "labelled", "tag": "tagged", "mask": "masked"}[kind])
    loss = made(kind, options)
    whole = loss(logits, targets)
    again = pickle.loads(pickle.dumps(loss))
    assert torch.equal(again(logits, targets), whole)
    probabilities = again.activation(logits)
    assert torch.equal(probabilities, loss.activation(logits)) and (probabilities >= 0).all()
    assert torch.equal(again.decodes(probabilities).long(), loss.decodes(loss.activation(logits)).long())
    with NoneReduce(loss):
        each = loss(logits, targets)
    assert each.numel() % len(logits) == 0 and each.numel() >= len(logits)
    assert loss.reduction == "mean" and torch.equal(loss(logits, targets), whole)
