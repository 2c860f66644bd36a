"""Each process has its own GPU, its own random numbers, and a network where it computes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from visionkit.devices import resolve_device
from visionkit.distributed import batches
from visionkit.distributed.batch_norm import unsynced
from visionkit.distributed.batches import OwnNumbers, SharedBatches
from visionkit.distributed.world import World
from visionkit.errors import EndedElsewhere, UsageError
from visionkit.registry import get_recipe
from visionkit.training.differences import Record, usable_device
from visionkit.training.hardware import resolve_workers
from visionkit.training.refusing import check_started


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has torch find so many GPUs, and this be one of two processes: `gpus(4, local_rank=1)`."""

    def found(count: int, local_rank: int | None = None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        if local_rank is not None:
            for name, value in (("LOCAL_RANK", local_rank), ("WORLD_SIZE", 2), ("LOCAL_WORLD_SIZE", 2)):
                monkeypatch.setenv(name, str(value))

    return found


def test_each_process_has_its_own_gpu(gpus: Any) -> None:
    gpus(4)
    assert resolve_device("auto") == torch.device("cuda:0") and resolve_device("cuda").index is None
    gpus(4, local_rank=3)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda:3")
    gpus(1, local_rank=3)  # as schedulers show each process its own only
    assert resolve_device("auto") == torch.device("cuda:0")
    gpus(2, local_rank=3)
    with pytest.raises(UsageError, match="2 GPUs are here"):
        resolve_device("auto")


def test_a_run_of_one_gpu_goes_on_with_all(gpus: Any) -> None:
    machine = SimpleNamespace(device="cuda:0")
    record: Record = SimpleNamespace(machine=machine)  # type: ignore[assignment]
    gpus(2)
    assert usable_device(record) == "cuda:0"
    gpus(2, local_rank=1)
    assert resolve_device(usable_device(record)) == torch.device("cuda:1")


def test_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visionkit.training.hardware.usable_cores", lambda: 16)
    assert resolve_workers("auto", torch.device("cuda:0")) == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert (
        resolve_workers("auto", torch.device("cuda:0")) == 2 and resolve_workers(5, torch.device("cpu")) == 5
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gpus": 4, "bs": 8}, "--gpus 4: torchrun has started 2 processes on this host"),
        ({"device": "cuda:1"}, "one device for 2 processes"),
        ({"device": "mps"}, "one device for 2 processes"),
        ({"bs": 3}, "give 4 or more"),
        ({"bs": "auto"}, "give --bs a number"),
    ],
)
def test_what_does_not_go_together_is_said_once(
    settings: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    given = get_recipe("pets").resolved(**settings)
    with pytest.raises(UsageError, match=said):
        check_started(given, World(0, 2))
    with pytest.raises(EndedElsewhere):
        check_started(given, World(1, 2))


def learner(device: str) -> Any:
    train = SimpleNamespace(rng=SimpleNamespace(getstate=lambda: (3, (7,), None)))
    dls = SimpleNamespace(device=torch.device(device), loaders=[], train=train)
    return SimpleNamespace(
        model=nn.Linear(2, 2), loss_func=nn.CrossEntropyLoss(weight=torch.ones(2)), dls=dls, epoch=0
    )


def told(make: Any) -> Any:
    return make()


def test_the_network_is_where_it_computes_before_it_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        batches, "DistributedDataParallel", lambda model, **_: seen.append(model.weight.device.type)
    )
    shared = SharedBatches(SimpleNamespace(told=told, leads=True))  # type: ignore[arg-type]
    shared.learn = learner("meta")
    shared.before_fit()
    assert seen == ["meta"] and shared.learn.loss_func.weight.device.type == "meta"


def test_processes_draw_other_numbers_also_after_a_resume() -> None:
    """Whose random states were made those of the first just before."""
    drawn = []
    for rank in range(3):
        own = OwnNumbers(SimpleNamespace(told=told, leads=rank == 0, rank=rank))  # type: ignore[arg-type]
        own.learn = learner("cpu")
        torch.manual_seed(5)
        own.before_train()
        drawn.append(torch.rand(3).tolist())
    torch.manual_seed(5)
    assert drawn[0] == torch.rand(3).tolist(), "the first goes on as it would alone"
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_norms_that_cannot_see_other_images_are_found() -> None:
    class Own(nn.BatchNorm2d):
        """As timm has them."""

    assert unsynced(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm1d(2))) == []
    assert unsynced(nn.Sequential(nn.BatchNorm2d(2), Own(2))) == ["Own"]
