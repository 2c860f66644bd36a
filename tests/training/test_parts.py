"""Batches that memory has no room for: computed in parts, with the same result."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, train_fast
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.layers import Flatten
from fastai.learner import AvgMetric, Learner
from fastai.metrics import accuracy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from visionkit.settings import TrainSettings
from visionkit.training.averaging import averaging_callbacks
from visionkit.training.hardware import Autocast
from visionkit.training.losses import label_loss, mask_loss, tag_loss
from visionkit.training.mixing import mixing_callbacks
from visionkit.training.optimizer import FusedAdam
from visionkit.training.parts import Parts
from visionkit.training.recorder import DeviceRecorder
from visionkit.training.shares import loss_of_part
from visionkit.training.step import PlainStep

pytestmark = pytest.mark.usefixtures("unpainted")

CLASSES, VOID = 4, 3
Losses = list[tuple[str, Any]]


def losses(task: str) -> Losses:
    """Every loss of a task, with class weights and without."""
    weights = torch.tensor([0.5, 2.0, 1.0, 0.7])
    names = {
        "labels": ["cross-entropy", "focal", "bce"],
        "tags": ["bce", "focal"],
        "masks": ["cross-entropy", "focal", "dice", "cross-entropy+dice"],
    }[task]
    found: Losses = []
    for name in names:
        for weighted in (None, weights):
            for smoothing in (0.0, 0.1):
                options = TrainSettings(loss=name, label_smoothing=smoothing)
                title = f"{name} {'weighted' if weighted is not None else ''} {smoothing}"
                if task == "labels":
                    found.append((title, label_loss(options, weighted)))
                elif task == "tags":
                    found.append((title, tag_loss(options, 0.5, weighted)))
                else:
                    no_void = (
                        None if weighted is None else torch.where(torch.arange(4) == VOID, 0.0, weighted)
                    )
                    found.append((f"{title} void", mask_loss(options, CLASSES, VOID, no_void)))
                    found.append((f"{title} all", mask_loss(options, CLASSES, None, weighted)))
    return found


@pytest.mark.parametrize("task", ["labels", "tags", "masks"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_parts_add_up_to_the_whole(task: str, data: st.DataObject) -> None:
    """Loss and gradient, for every loss, and for parts of any sizes, some of them all void."""
    images = data.draw(st.integers(2, 7))
    cuts = sorted(data.draw(st.sets(st.integers(1, images - 1), min_size=1)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    shape = (images, CLASSES, 2, 3) if task == "masks" else (images, CLASSES)
    logits = 3 * torch.randn(shape, generator=generator)
    if task == "tags":
        targets = (torch.rand(shape, generator=generator) < 0.4).float()
    else:
        targets = torch.randint(0, CLASSES, (images, *shape[2:]), generator=generator)
    if task == "masks" and data.draw(st.booleans()):
        targets[: cuts[0]] = VOID
    for title, loss in losses(task):
        one, many = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        whole = loss(one, targets)
        whole.backward()
        total = torch.zeros(())
        for start, end in zip([0, *cuts], [*cuts, images]):
            part = loss_of_part(loss, many[start:end], (targets[start:end],), (targets,))
            part.backward()
            total = total + part.detach()
        assert torch.allclose(total, whole.detach(), rtol=1e-5, atol=1e-6), title
        assert torch.allclose(many.grad, one.grad, rtol=1e-4, atol=1e-6), title


class Limited(nn.Module):
    """A network that has no memory for more than `most` images.

    Args:
        backward: fail in the backward pass.
        validation: fail in validation as well.
    """

    def __init__(self, most: int, backward: bool = False, validation: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 5, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), Flatten(), nn.Linear(20, CLASSES)
        )
        self.room, self.backward_too, self.validation = most, backward, validation
        self.met: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.met.append(len(images))
        found: Tensor = self.layers(images)
        if len(images) > self.room and (self.training or self.validation):
            if not (self.backward_too and self.training):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            found.register_hook(self._fails)
        return found

    def _fails(self, gradient: Tensor) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory")


class Steps(Callback):
    """Counts the optimiser's steps, and keeps each batch's loss and how many predictions it has."""

    order = 60

    def __init__(self) -> None:
        self.taken = 0
        self.losses: list[Tensor] = []
        self.predictions: list[int] = []

    def after_step(self) -> None:
        self.taken += 1

    def after_batch(self) -> None:
        self.losses.append(self.loss.detach().clone())
        self.predictions.append(len(self.pred))
        assert len(self.xb[0]) == len(self.yb[0]) == len(self.pred)


def learner(
    path: Path, network: Limited, notes: list[str], loss: Any = None, *callbacks: Callback
) -> Learner:
    torch.manual_seed(4)
    images, labels = torch.randn(22, 3, 8, 8), torch.arange(22) % CLASSES
    pairs = list(zip(images, labels))
    for param in network.parameters():
        nn.init.normal_(param, std=1 / 3)
    dls = DataLoaders(DataLoader(pairs[:16], bs=8), DataLoader(pairs, bs=8))
    learn = Learner(
        dls,
        network,
        loss_func=loss or label_loss(TrainSettings(), torch.tensor([0.5, 2.0, 1.0, 0.7])),
        opt_func=FusedAdam,
        metrics=[AvgMetric(accuracy)],
        path=path,
        cbs=list(callbacks),
    )
    learn.remove_cb(learn.recorder)
    learn.add_cb(DeviceRecorder())
    PlainStep.install(learn, Parts(note=notes.append))
    return learn


def fitted(learn: Learner, epochs: int = 2) -> tuple[Steps, list[Tensor], list[list[float]]]:
    torch.manual_seed(7)
    seen = Steps()
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs, 1e-2, cbs=[seen])
    weights = [value.detach().clone() for value in learn.model.layers.state_dict().values()]
    return seen, weights, [list(map(float, row)) for row in learn.recorder.values]


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    ("mixup", "cutmix", "ema", "bf16"),
    [(0, 0, 0, False), (0.4, 0, 0, False), (0, 1.0, 0, False), (0.4, 1.0, 0.9, False), (0, 0, 0.5, True)],
    ids=["plain", "mixup", "cutmix", "both-ema", "bf16-ema"],
)
def test_a_training_in_parts_is_the_same(
    tmp_path: Path, mixup: float, cutmix: float, ema: float, bf16: bool, backward: bool
) -> None:
    """Losses, figures and weights of a training, computed in three parts of a batch of eight."""
    found = []
    for most in (8, 3):
        notes: list[str] = []
        callbacks = [*mixing_callbacks(mixup, cutmix), *averaging_callbacks(ema)]
        network = Limited(most, backward)
        learn = learner(tmp_path, network, notes, None, *callbacks, *([Autocast("cpu")] if bf16 else []))
        found.append(fitted(learn))
    (whole, weights, values), (parts, same_weights, same_values) = found
    assert parts.taken == whole.taken == 4 and parts.predictions == whole.predictions
    tolerance = {"rtol": 3e-2, "atol": 3e-3} if bf16 else {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(torch.stack(parts.losses), torch.stack(whole.losses), **tolerance)
    torch.testing.assert_close(same_weights, weights, rtol=tolerance["rtol"], atol=10 * tolerance["atol"])
    if not bf16:
        torch.testing.assert_close(torch.tensor(same_values), torch.tensor(values), **tolerance)
    told = [note.partition(" at once: ") for note in notes]
    assert [start for start, *_ in told] == [
        "memory     ran out in training with 8 images",
        "memory     ran out in training with 4 images",
    ]
    assert [end for *_, end in told] == [
        f"batches of 8 are now computed in {parts}, and the optimiser still steps once for all 8"
        for parts in ("2 parts of 4", "4 parts of 2")
    ]
    assert not torch.is_autocast_enabled("cpu")


def test_validation_in_parts(tmp_path: Path) -> None:
    """The same figures and predictions; training goes on with whole batches where those fit."""
    notes: list[str] = []
    rows, predictions = [], []
    for most in (8, 2):
        network = Limited(most, validation=True)
        learn = learner(tmp_path, network, notes)
        network.room = 8
        fitted(learn, 1)
        network.room = most
        with learn.no_bar():
            rows.append(learn.validate())
            predictions.append(learn.get_preds(with_loss=True))
    torch.testing.assert_close(torch.tensor(list(rows[1])), torch.tensor(list(rows[0])))
    for one, other in zip(*predictions):
        torch.testing.assert_close(other.as_subclass(Tensor), one.as_subclass(Tensor))
    told = [note.partition(" at once: ") for note in notes]
    assert [start for start, *_ in told] == [
        "memory     ran out in validation with 8 images",
        "memory     ran out in validation with 4 images",
    ]
    assert [end for *_, end in told] == [
        "batches of 8 are now computed in 2 parts of 4",
        "batches of 8 are now computed in 4 parts of 2",
    ]
    assert learn.parts.most == {"training": None, "validation": 2}


def test_one_image_that_does_not_fit(tmp_path: Path) -> None:
    notes: list[str] = []
    network = Limited(0)
    with pytest.raises(torch.OutOfMemoryError):
        fitted(learner(tmp_path, network, notes))
    assert network.met == [8, 4, 2, 1] and len(notes) == 3
    assert all(param.grad is None for param in network.parameters())


def test_batchnorm_wants_two_images(tmp_path: Path) -> None:
    """No part has one image where BatchNorm has a value for each; the error is then that of the memory."""
    notes: list[str] = []
    network = Limited(1)
    network.layers.insert(4, nn.BatchNorm1d(20))
    with pytest.raises(torch.OutOfMemoryError):
        fitted(learner(tmp_path, network, notes))
    assert network.met == [8, 4, 2]
    network = Limited(1)
    network.layers.insert(3, nn.BatchNorm2d(5))
    network.layers[2] = nn.AdaptiveAvgPool2d(1)
    network.layers[5] = nn.Linear(5, CLASSES)
    with pytest.raises(torch.OutOfMemoryError):
        fitted(learner(tmp_path, network, notes))
    assert network.met == [8, 4, 2, 1]


@given(images=st.integers(2, 40), most=st.integers(1, 40), norms=st.booleans())
def test_parts_get_smaller_until_they_fit(images: int, most: int, norms: bool) -> None:
    """Whatever fits, it is found, parts differ by one image at most, and there is an end."""
    parts = Parts(note=lambda text: None)
    network = nn.Sequential(nn.BatchNorm1d(2) if norms else nn.Identity()).train()

    class Played:
        xb, yb = (torch.zeros(images),), (torch.zeros(images),)
        training, cbs, model = True, (), network

    parts.learn = Played()
    seen = [parts._count]
    while -(-images // parts._count) > most and parts._can_divide():
        parts._divide()
        seen.append(parts._count)
    assert seen == sorted(set(seen)) and seen[-1] <= images
    fewest = 2 if norms else 1
    assert images // seen[-1] >= min(fewest, images)
    if most >= (3 if norms else 1):
        assert -(-images // seen[-1]) <= most


def test_an_error_of_the_optimiser_is_not_tried_again(tmp_path: Path) -> None:
    """A step that was begun cannot be repeated."""
    notes: list[str] = []
    learn = learner(tmp_path, Limited(8), notes)

    class Fails(Callback):
        def after_step(self) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

    learn.add_cb(Fails())
    with pytest.raises(torch.OutOfMemoryError):
        fitted(learn)
    assert notes == []


def test_parts_are_kept_over_a_resume(tmp_path: Path) -> None:
    first = learner(tmp_path, Limited(3), [])
    fitted(first, 1)
    state = json.loads(json.dumps(first.parts.checkpoint_state()[1]))
    notes: list[str] = []
    network = Limited(3)
    second = learner(tmp_path, network, notes)
    second.parts.go_on_from({}, state)
    fitted(second, 1)
    assert notes == [] and max(network.met[:8]) == 2


def test_a_training_goes_on_in_parts(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line says so once, and as many batches are trained on as without."""
    original = nn.AdaptiveAvgPool2d.forward

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        if len(images) > 4 and self.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, images)

    monkeypatch.setattr(nn.AdaptiveAvgPool2d, "forward", forward)
    result = train_fast(cli, "pets", pets, "--bs", 8, "--ema", 0.5, "--mixup", 0.4, "--out", "run")
    assert result.exit_code == 0, result.output
    told = (
        "memory     ran out in training with 8 images at once: batches of 8 are now computed in 2 parts of 4"
    )
    assert " ".join(result.output.split()).count(" ".join(told.split())) == 1, result.output
    with open("run/batches.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert json.loads(Path("run/run.json").read_text())["status"] == "done"
