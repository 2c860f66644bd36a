"""MixUp and CutMix with visionkit's losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import CutMix, MixUp
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.layers import Flatten
from fastai.learner import Learner
from torch import Tensor, nn

from visionkit.settings import TrainSettings
from visionkit.training.losses import label_loss, tag_loss
from visionkit.training.mixing import MixUpOrCutMix, mixing_callbacks

CLASSES = 3


class Seen(Callback):
    """Keeps what each training batch was mixed of, and its loss."""

    order = 30
    run_valid = False

    def __init__(self) -> None:
        self.batches: list[dict[str, Tensor]] = []

    def after_loss(self) -> None:
        mixer = next(callback for callback in self.learn.cbs if isinstance(callback, (MixUp, CutMix)))
        one, other = self.yb[0], mixer.yb1[0]
        values = {"x": self.x, "y": one, "other": other, "share": mixer.lam, "pred": self.pred}
        values["loss"] = self.loss
        self.batches.append({name: value.detach().clone() for name, value in values.items()})


def trained(loss: Any, tags: bool, mixup: float, cutmix: float, epochs: int, path: Path) -> Seen:
    torch.manual_seed(4)
    images = torch.arange(12.0).reshape(12, 1, 1, 1).expand(12, 3, 8, 8).contiguous()
    labels = (torch.rand(12, CLASSES) < 0.5).float() if tags else torch.arange(12) % CLASSES
    pairs = list(zip(images, labels))
    dls = DataLoaders(DataLoader(pairs, bs=6), DataLoader(pairs, bs=6))
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), Flatten(), nn.Linear(3, CLASSES))
    seen = Seen()
    learn = Learner(dls, model, loss_func=loss, path=path, cbs=[*mixing_callbacks(mixup, cutmix), seen])
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs, 1e-3)
    assert learn.loss_func is loss, "validation and predictions have the loss itself"
    return seen


@pytest.mark.parametrize(
    "options", [{}, {"loss": "focal"}, {"loss": "bce", "label_smoothing": 0.1}, {"label_smoothing": 0.1}]
)
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0), (0, 1.0)])
def test_the_loss_of_labels_is_mixed_as_the_images_are(
    options: dict[str, Any], mixup: float, cutmix: float, tmp_path: Path
) -> None:
    loss = label_loss(TrainSettings(**options))
    for batch in trained(loss, False, mixup, cutmix, 2, tmp_path).batches:
        share = batch["share"].expand(6)
        each = torch.stack(
            [
                share[i] * Tensor(loss(batch["pred"][i : i + 1], batch["y"][i : i + 1]))
                + (1 - share[i]) * Tensor(loss(batch["pred"][i : i + 1], batch["other"][i : i + 1]))
                for i in range(6)
            ]
        )
        torch.testing.assert_close(Tensor(batch["loss"]), each.mean())


@pytest.mark.parametrize("options", [{}, {"loss": "focal"}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0), (0, 1.0)])
def test_tags_are_mixed_themselves(
    options: dict[str, Any], mixup: float, cutmix: float, tmp_path: Path
) -> None:
    loss = tag_loss(TrainSettings(**options), 0.5, torch.tensor([0.5, 1, 2]))
    between = 0
    for batch in trained(loss, True, mixup, cutmix, 3, tmp_path).batches:
        between += int(((batch["y"] > 0) & (batch["y"] < 1)).sum())
        torch.testing.assert_close(Tensor(batch["loss"]), Tensor(loss(batch["pred"], batch["y"])))
    assert between


def test_both_take_turns(tmp_path: Path) -> None:
    """MixUp makes one grey of an image of one, CutMix leaves two."""
    callbacks = mixing_callbacks(0.4, 1.0)
    assert [type(callback) for callback in callbacks] == [MixUpOrCutMix]
    seen = trained(label_loss(TrainSettings()), False, 0.4, 1.0, 30, tmp_path)
    blended = [batch for batch in seen.batches if (batch["x"] == batch["x"][..., :1, :1]).all()]
    whole = [batch for batch in blended if not (batch["x"] % 1).any()]  # CutMix with nothing cut
    pasted = len(seen.batches) - len(blended)
    assert len(seen.batches) == 60 and 15 < pasted < 45 and 15 < len(blended) - len(whole) < 45


def test_off() -> None:
    assert mixing_callbacks(0, 0) == []
    assert [type(callback) for callback in mixing_callbacks(0.2, 0)] == [MixUp]
    assert [type(callback) for callback in mixing_callbacks(0, 0.2)] == [CutMix]
