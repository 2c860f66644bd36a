"""Losses that are no numbers: the training stops and says where, or leaves such batches out."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, train_fast
from fastai.callback.core import Callback
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.learner import Learner
from safetensors.torch import load_file
from torch import Tensor, nn

from visionkit.registry import get_recipe
from visionkit.training import recording
from visionkit.training.batch_files import batch_files
from visionkit.training.finite import weights_are_finite
from visionkit.training.non_finite import LossIsNaN
from visionkit.training.rates import suggest_rates

pytestmark = pytest.mark.usefixtures("unpainted")

OPTIONS = {"bs": 4, "workers": 0, "arch": "small_vgg", "pretrained": False, "precision": "fp32", "size": 32}


def built(pets: Path, **settings: Any) -> Learner:
    recipe = get_recipe("pets")
    learn = recipe.learner(recipe.dataloaders(pets, **{**OPTIONS, **settings}))
    assert isinstance(learn, Learner)
    return learn


class Poison(Callback):
    """Makes the loss, or a gradient, of some training batches NaN or infinite.

    Args:
        batches: their numbers, over all epochs, from 0.
        where: "loss" or "gradient".
    """

    order = 5

    def __init__(self, batches: set[int], where: str = "loss", value: float = math.nan) -> None:
        self.batches, self.where, self.value = batches, where, value
        self.number = -1

    def before_batch(self) -> None:
        self.number += self.training

    def after_loss(self) -> None:
        if self.where == "loss" and self.training and self.number in self.batches:
            self.learn.loss_grad = self.loss_grad * self.value
            self.learn.loss = self.loss_grad.clone()

    def after_backward(self) -> None:
        if self.where == "gradient" and self.number in self.batches:
            next(each.grad for each in self.model.parameters() if each.grad is not None).fill_(self.value)


class States(Callback):
    """Keeps all that a step changes, after each training batch."""

    order = 100
    run_valid = False

    def __init__(self) -> None:
        self.states: list[list[Tensor]] = []

    def after_batch(self) -> None:
        values = [*self.model.state_dict().values(), *self.learn.averaging.averages]
        for param in self.model.parameters():
            state = self.opt.state.get(param, {})
            values += [state[name] for name in ("grad_avg", "sqr_avg", "step") if name in state]
        self.states.append([value.detach().clone() for value in values])


def fit(learn: Learner, *callbacks: Callback, epochs: int = 2) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 1e-3, cbs=list(callbacks))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("every", [0.0, math.inf], ids=["at once", "at the end"])
def test_it_stops_and_names_the_batch(
    pets: Path, value: float, every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "TELL_EVERY", every)
    learn = built(pets)
    with pytest.raises(LossIsNaN) as found:
        fit(learn, Poison({6, 7}, value=value))
    text = str(found.value)
    assert text.startswith(f"epoch 2, batch 2 of 5: the loss is {'NaN' if value != value else 'infinite'}. ")
    assert "Its images: images/" in text and text.count(".jpg") == 4
    assert text.endswith("Train again with a lower --lr.")


@pytest.mark.slow
def test_gradients_that_spoil_the_last_step(pets: Path) -> None:
    learn = built(pets)
    with pytest.raises(LossIsNaN, match="epoch 1, batch 5 of 5: after it, the weights are NaN or infinite"):
        fit(learn, Poison({4}, "gradient"))
    assert not weights_are_finite(learn.model)


@pytest.mark.parametrize("cache", ["auto", "off"])
@pytest.mark.parametrize("weighted", [False, True], ids=["shuffled", "weighted"])
def test_the_files_of_each_batch(pets: Path, cache: str, weighted: bool) -> None:
    """Their labels are those of the batch, in its order, in every epoch."""
    learn = built(pets, cache=cache, weighted_sampling=weighted)
    seen: list[tuple[list[str], list[str]]] = []

    class Looks(Callback):
        run_valid = False

        def before_batch(self) -> None:
            if self.iter == 0:
                self.state = self.dl.epoch_state()
            files = batch_files(self.dls, self.state, self.iter)
            labels = [str(self.dls.vocab[int(label)]) for label in self.yb[0]]
            seen.append(([name.rpartition("/")[2].rpartition("_")[0] for name in files], labels))

    fit(learn, Looks(), epochs=3)
    assert len(seen) == 15 and len({tuple(labels) for _, labels in seen}) > 5
    for names, labels in seen:
        assert names == labels


@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("mixup", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_a_batch_that_is_left_out_changes_nothing(pets: Path, where: str, mixup: float) -> None:
    """Neither weights, optimiser, averages nor BatchNorm's statistics; the next batch makes a step again."""
    learn = built(pets, on_nan="skip", ema=0.5, mixup=mixup)
    notes: list[str] = []
    learn.non_finite.note = notes.append
    states = States()
    fit(learn, Poison({0, 6}, where), states, epochs=2)
    for number, (before, after) in enumerate(zip(states.states, states.states[1:]), 1):
        changed = [not torch.equal(one, other) for one, other in zip(before, after)]
        if number == 6:
            assert not any(changed) and len(before) == len(after)
        elif number > 1:
            assert any(changed)
    why = "its loss is NaN" if where == "loss" else "its gradients are not finite"
    assert [note.partition(". ")[0] for note in notes] == [
        f"left out   epoch 1, batch 1 of 5: {why}",
        f"left out   epoch 2, batch 2 of 5: {why}",
    ]
    assert learn.non_finite.count == len(notes)
    assert weights_are_finite(learn.model)
    assert all(math.isfinite(float(loss)) for loss in learn.recorder.losses[1:])


def test_too_many_stop_it(pets: Path) -> None:
    learn = built(pets, on_nan="skip")
    learn.non_finite.note = lambda text: None
    with pytest.raises(LossIsNaN, match="batch 3 of 5: its loss is NaN; that makes 2 in this epoch"):
        fit(learn, Poison({1, 2}))
    assert weights_are_finite(learn.model)


@pytest.mark.slow
def test_a_search_for_a_rate_may_diverge(pets: Path) -> None:
    learn = built(pets)
    with learn.no_logging():
        found = suggest_rates(learn)
    assert found.valley > 0
    fit(learn, epochs=1)


def test_weights_of_every_kind() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Module())
    network[2].register_buffer("mask", torch.tensor([0.0, -math.inf]))
    assert weights_are_finite(network) and weights_are_finite(nn.Identity())
    network[1].running_var.fill_(math.inf)
    assert not weights_are_finite(network)
    network[1].running_var.fill_(1)
    with torch.no_grad():
        network[0].bias[1] = math.nan
    assert not weights_are_finite(network)


def test_a_rate_that_is_far_too_high(cli: Cli, pets: Path) -> None:
    """On the command line: one message, a failed run, and nothing saved that holds NaN."""
    result = train_fast(cli, "pets", pets, "--lr", 1e30, "--then", 40, "--out", "run")
    assert result.exit_code == 1 and "Traceback" not in result.output, result.output
    text = " ".join(result.output.split())
    assert "Error: stage 1 (32 px, unfrozen), epoch 1, batch" in text and "Exception occured" not in text
    assert "visionkit resume run --on-nan skip" in text and "a lower --lr" in text
    assert not list(Path("run").glob("model/*"))
    for file in Path("run").rglob("*.safetensors"):
        assert all(bool(value.float().isfinite().all()) for value in load_file(file).values())
    info = json.loads(Path("run/run.json").read_text())
    assert info["status"] == "failed" and info["error"].startswith("LossIsNaN: stage 1")


def test_skipping_on_the_command_line(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastai.losses import CrossEntropyLossFlat

    original, calls = CrossEntropyLossFlat.__call__, [0]

    def loss(self: Any, *args: Any, **kwargs: Any) -> Tensor:
        calls[0] += 1
        found: Tensor = original(self, *args, **kwargs)
        return found * math.nan if calls[0] == 2 else found

    monkeypatch.setattr(CrossEntropyLossFlat, "__call__", loss)
    result = train_fast(cli, "pets", pets, "--on-nan", "skip", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "left out   stage 1 (32 px, unfrozen), epoch 1, batch 2 of 5: its loss is NaN." in result.output
    with open("run/batches.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert [math.isnan(loss) for loss in losses] == [False, True, False, False, False]
    with open("run/history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert math.isfinite(float(row["train_loss"])) and math.isfinite(float(row["valid_loss"]))
    assert json.loads(Path("run/run.json").read_text())["left_out"] == 1
    assert all(bool(value.isfinite().all()) for value in load_file("run/model/model.safetensors").values())
