"""The fused optimiser against fastai's Adam, and in all that fastai does with one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.callback.schedule import Learner as _scheduled  # noqa: F401  (patches fit_one_cycle into Learner)
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import Adam
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from visionkit.training.optimizer import FusedAdam
from visionkit.training.rates import suggest_rates


def network() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)),
    )


def groups(model: nn.Module) -> list[list[nn.Parameter]]:
    return [list(part.parameters()) for part in model.children()]


def learner(folder: Path, opt_func: Any, **options: Any) -> Learner:
    """Three groups of parameters, the same weights and batches each time; in doubles, so that what differs
    is the arithmetic and not its rounding."""
    torch.manual_seed(0)
    model = network().double()
    pairs = [(torch.randn(3, 8, 8, dtype=torch.double), torch.tensor(number % 3)) for number in range(24)]
    dls = DataLoaders(DataLoader(pairs, bs=4), DataLoader(pairs[:4], bs=4))
    return Learner(
        dls, model, CrossEntropyLossFlat(), opt_func=opt_func, splitter=groups, path=folder, **options
    )


def quiet(learn: Learner, work: Callable[[Learner], Any]) -> dict[str, Tensor]:
    with learn.no_bar(), learn.no_logging():
        work(learn)
    return {name: value.clone() for name, value in learn.model.state_dict().items()}


def stages(learn: Learner) -> None:
    """As a training goes: frozen, then unfrozen at falling rates, which change in every batch."""
    learn.freeze()
    learn.fit_one_cycle(2, 0.02)
    learn.unfreeze()
    learn.fit_one_cycle(3, slice(0.0005, 0.02))
    learn.fit_one_cycle(2, slice(0.001, 0.01), wd=0.2)


def both(folder: Path, work: Callable[[Learner], Any] = stages, **options: Any) -> None:
    cbs = options.pop("cbs", list)
    fused = quiet(learner(folder, FusedAdam, cbs=cbs(), **options), work)
    fastai = quiet(learner(folder, Adam, cbs=cbs(), **options), work)
    torch.testing.assert_close(fused, fastai, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("wd", [0.0, 0.3])
@pytest.mark.parametrize("wd_bn_bias", [False, True])
@pytest.mark.parametrize("train_bn", [False, True])
def test_the_weights_are_those_of_fastai(tmp_path: Path, wd: float, wd_bn_bias: bool, train_bn: bool) -> None:
    both(tmp_path, wd=wd, wd_bn_bias=wd_bn_bias, train_bn=train_bn)


def test_what_is_frozen_again_stays_as_it_is(tmp_path: Path) -> None:
    """Fastai's decays it, since gradients of zero are left from before."""
    learn = learner(tmp_path, FusedAdam, wd=0.5, train_bn=False)
    quiet(learn, stages)
    learn.freeze()
    body = learn.model[:2]
    before = copy.deepcopy([param.detach() for param in body.parameters()])
    head = learn.model[2][-1].weight.detach().clone()
    quiet(learn, lambda learn: learn.fit_one_cycle(1, 0.1))
    assert all(map(torch.equal, before, body.parameters()))
    assert not torch.equal(head, learn.model[2][-1].weight)


def test_with_clipped_and_accumulated_gradients(tmp_path: Path) -> None:
    both(tmp_path, cbs=lambda: [GradientClip(0.05), GradientAccumulation(8)])


def test_in_single_precision(tmp_path: Path) -> None:
    """Over some steps: in a long training rounding alone drives any two apart."""

    def work(learn: Learner) -> None:
        learn.model.float()
        learn.dls = DataLoaders(*([(x.float(), y) for x, y in dl] for dl in learn.dls.loaders))
        learn.fit_one_cycle(1, 0.01)

    fused, fastai = (quiet(learner(tmp_path, kind), work) for kind in (FusedAdam, Adam))
    torch.testing.assert_close(fused, fastai, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    lr=st.floats(1e-6, 0.5),
    mom=st.floats(0, 0.99),
    sqr_mom=st.floats(0.5, 0.999),
    eps=st.floats(1e-8, 1e-2),
    wd=st.floats(0, 0.5),
    seed=st.integers(0, 99),
)
def test_any_hyperparameters(lr: float, mom: float, sqr_mom: float, eps: float, wd: float, seed: int) -> None:
    torch.manual_seed(seed)
    params = [nn.Parameter(torch.randn(shape, dtype=torch.double)) for shape in ((3, 2), (5,), ())]
    mine, other = params, [nn.Parameter(param.detach().clone()) for param in params]
    fused = FusedAdam([mine[:2], mine[2:]], lr=lr, mom=mom, sqr_mom=sqr_mom, eps=eps, wd=wd)
    fastai = Adam([other[:2], other[2:]], lr=lr, mom=mom, sqr_mom=sqr_mom, eps=eps, wd=wd)
    for step in range(5):
        for one, two in zip(mine, other):
            one.grad, two.grad = None, None
            if torch.rand(()) < 0.8:  # now and then a parameter has no part in a step
                one.grad = torch.randn_like(one)
                two.grad = one.grad.clone()
        for opt in (fused, fastai):
            opt.set_hyper("lr", [lr / (step + 1), lr])
            opt.step()
    torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-9)


def test_gradients_are_dropped(tmp_path: Path) -> None:
    learn = learner(tmp_path, FusedAdam)
    quiet(learn, lambda learn: learn.fit(1, 0.01))
    assert all(param.grad is None for param in learn.model.parameters())


@pytest.mark.parametrize("before", [FusedAdam, Adam])
def test_a_saved_state_goes_on(tmp_path: Path, before: Any) -> None:
    """Its own, and that of fastai's; from a file as well, which fastai reads as plain tensors only."""
    learn = learner(tmp_path, before)
    quiet(learn, lambda learn: learn.fit(1, 0.01))
    learn.save("half")
    straight = quiet(learn, lambda learn: learn.fit(1, 0.01))
    again = learner(tmp_path, FusedAdam)
    again.create_opt()
    again.load("half")
    torch.testing.assert_close(quiet(again, lambda learn: learn.fit(1, 0.01)), straight, rtol=1e-6, atol=1e-9)
    if before is FusedAdam:
        copied = copy.deepcopy(again.opt.state_dict())
        other = learner(tmp_path, FusedAdam)
        other.create_opt()
        other.opt.load_state_dict(copied)
        other.model.load_state_dict(again.model.state_dict())
        work: Callable[[Learner], Any] = partial(Learner.fit, n_epoch=2, lr=0.01)
        torch.testing.assert_close(quiet(other, work), quiet(again, work), rtol=0, atol=0)


def test_a_state_of_another_memory_format() -> None:
    """The averages lie as the parameters do, wherever they come from."""
    torch.manual_seed(0)
    param = nn.Parameter(torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last))
    gradient = torch.randn(4, 3, 3, 3)
    opts = [FusedAdam([param], lr=0.1), FusedAdam([nn.Parameter(param.detach().contiguous())], lr=0.1)]
    for opt in opts:
        opt.param_lists[0][0].grad = torch.empty_like(opt.param_lists[0][0]).copy_(gradient)
        opt.step()
    opts[0].load_state_dict(copy.deepcopy(opts[1].state_dict()))
    for opt in opts:
        opt.step()
    torch.testing.assert_close(*(opt.param_lists[0][0].detach().contiguous() for opt in opts))


def test_a_rate_search_changes_nothing(tmp_path: Path) -> None:
    learn = learner(tmp_path, FusedAdam)
    trained = quiet(learn, lambda learn: learn.fit(1, 0.01))
    state = copy.deepcopy([learn.opt.state[param] for group in learn.opt.param_lists for param in group])
    found = suggest_rates(learn, iterations=20)
    assert 0 < found.valley < 10 and len(found.losses) > 5
    torch.testing.assert_close(dict(learn.model.state_dict()), trained, rtol=0, atol=0)
    after = [learn.opt.state[param] for group in learn.opt.param_lists for param in group]
    torch.testing.assert_close(after, state, rtol=0, atol=0)


def test_the_same_twice(tmp_path: Path) -> None:
    one, two = (quiet(learner(tmp_path, FusedAdam), stages) for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_with_a_gradient_scaler() -> None:
    """As fp16 on a GPU: scaled gradients are scaled back, and a step that overflowed is left out."""
    torch.manual_seed(0)
    start = torch.randn(5)
    results = []
    for scaled in (False, True):
        param = nn.Parameter(start.clone())
        opt = FusedAdam([param], lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=scaled)
        for step in range(4):
            factor = float("inf") if scaled and step == 2 else 1.0
            if step == 2 and not scaled:
                continue
            scaler.scale((param**2).sum() * factor).backward()
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()
        results.append(param.detach())
    torch.testing.assert_close(*results)


def test_closure_computes_loss_and_gradients_first() -> None:
    weights = []
    for closed in (True, False):
        layer = torch.nn.Linear(3, 1)
        torch.nn.init.constant_(layer.weight, 0.5)
        torch.nn.init.constant_(layer.bias, 0.1)
        optimizer = FusedAdam([list(layer.parameters())], lr=0.1)

        def backward(layer: torch.nn.Linear = layer) -> torch.Tensor:
            loss = (layer(torch.ones(4, 3)) - 2.0).square().mean()
            loss.backward()
            return loss.detach()

        if closed:
            assert optimizer.step(backward) == pytest.approx((1.6 - 2.0) ** 2)
        else:
            backward()
            assert optimizer.step() is None
        weights.append(layer.weight.detach().clone())
    assert torch.equal(*weights) and not torch.equal(weights[0], torch.full((1, 3), 0.5))
