"""The moving average of the weights, against one that is computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches lr_find into Learner)
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import MSELossFlat
from torch import Tensor, nn

from visionkit.training.averaging import Averaging, averaging_callbacks, finish_averaging
from visionkit.training.rates import suggest_rates

DECAY = 0.3


class Steps(Callback):
    """Keeps the network's state after each step."""

    order = 5

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def after_step(self) -> None:
        self.states.append(state(self.model))


class Validated(Callback):
    """Keeps the network's state as it was validated."""

    order = 5

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def after_batch(self) -> None:
        if not self.training:
            self.states.append(state(self.model))


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    torch.manual_seed(0)
    inputs = torch.randn(24, 3)
    pairs = list(zip(inputs, inputs.sum(1, keepdim=True)))
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    dls = DataLoaders(DataLoader(pairs, bs=4), DataLoader(pairs[:4], bs=4))
    steps = [Steps(), Validated()]
    learn = Learner(dls, model, loss_func=MSELossFlat(), path=tmp_path, lr=0.05, cbs=steps)
    learn.add_cbs(averaging_callbacks(DECAY))
    return learn


def by_hand(start: dict[str, Tensor], states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The average over `states`; integers are the last ones."""
    average = start
    for step, weights in enumerate(states, start=1):
        decay = min(DECAY, (1 + step) / (10 + step))
        average = {
            name: decay * average[name] + (1 - decay) * value if value.is_floating_point() else value
            for name, value in weights.items()
        }
    return average


def fit(learn: Learner, epochs: int = 1) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs)


def test_the_average_is_that_of_all_steps_and_validates(learner: Learner) -> None:
    start = state(learner.model)
    fit(learner, 2)
    states = learner.steps.states
    assert len(states) == 12 and len(learner.validated.states) == 2
    assert equal(state(learner.model), states[-1]), "training goes on with the weights themselves"
    for validated, count in zip(learner.validated.states, (6, 12)):
        torch.testing.assert_close(validated, by_hand(start, states[:count]))
    finish_averaging(learner)
    torch.testing.assert_close(state(learner.model), by_hand(start, states))
    assert learner.model[1].num_batches_tracked == 12


def test_it_goes_on_from_fit_to_fit(learner: Learner) -> None:
    start = state(learner.model)
    fit(learner)
    learner.dls = DataLoaders(*(dl.new(bs=6) for dl in learner.dls.loaders))
    fit(learner)
    states = learner.steps.states
    assert len(states) == 10
    learner.averaging.finish()
    torch.testing.assert_close(state(learner.model), by_hand(start, states))
    again = state(learner.model)
    learner.averaging.finish()
    assert equal(state(learner.model), again), "the second time there is nothing to finish"


def test_predictions_are_made_with_it(learner: Learner) -> None:
    fit(learner)
    trained = state(learner.model)
    with learner.no_bar():
        before = learner.get_preds()[0]
    assert equal(state(learner.model), trained)
    learner.averaging.finish()
    with learner.no_bar():
        assert torch.equal(before, learner.get_preds()[0])
    with torch.no_grad():
        assert torch.equal(before, learner.model.eval()(learner.dls.valid.one_batch()[0]))


def test_what_is_frozen_stays_as_it_was(learner: Learner) -> None:
    learner.model[0].requires_grad_(False)
    frozen = state(learner.model[0])
    fit(learner, 2)
    learner.averaging.finish()
    assert equal(state(learner.model[0]), frozen)


def test_a_rate_search_changes_nothing(learner: Learner) -> None:
    fit(learner)
    trained, average = state(learner.model), [value.clone() for value in learner.averaging.averages]
    suggest_rates(learner, iterations=20)
    assert equal(state(learner.model), trained) and learner.averaging.step == 6
    assert all(map(torch.equal, learner.averaging.averages, average))


def test_a_cancelled_validation_puts_the_weights_back(learner: Learner) -> None:
    from fastai.callback.core import CancelValidException

    class Cancel(Callback):
        order = 20

        def before_validate(self) -> None:
            raise CancelValidException

    learner.add_cb(Cancel())
    fit(learner)
    assert equal(state(learner.model), learner.steps.states[-1])


def test_no_decay_no_callback() -> None:
    assert averaging_callbacks(0) == []
    assert isinstance(averaging_callbacks(0.5)[0], Averaging)
