"""The processes that train together, as torchrun starts them, and what they tell each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from visionkit.distributed.lost import loss_told
from visionkit.distributed.started import hide, local_rank, own_rank, started_together
from visionkit.errors import EndedElsewhere
from visionkit.loading.share import Share

T = TypeVar("T")
PATIENCE = timedelta(hours=24)
"""How long processes wait for each other between steps: one of them may decode a whole data set meanwhile."""
STEP_PATIENCE = timedelta(minutes=30)
"""How long they wait for each other within one."""
_joined = count()
"""Numbers the trainings of this process, which are the same ones in all."""


@dataclass(frozen=True)
class World:
    """The processes that train together, seen from one of them.

    Args:
        rank: its number among all, from 0; the first one writes and reports.
        size: how many there are.
        local_rank: its number on its host.
        control: over which they agree, beside the tensors of the training; None for one alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    control: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """The part of each batch that is its own."""
        return Share(self.rank, self.size)

    def told(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all.

        Raises:
            EndedElsewhere: the first process has failed; there, its own error is raised.
            ProcessLost: it cannot be reached any more.
        """
        if self.size == 1:
            return make()
        made: Any = None
        with self.ending_together():
            if self.leads:
                made = make()
        held = [made]
        with loss_told(self.size):
            dist.broadcast_object_list(held, src=0, group=self.control)
        return held[0]

    def host_first(self, work: Callable[[], T]) -> T:
        """What `work` gives; one process of each host goes first, and the others find what it has made.

        Raises:
            EndedElsewhere: another process has failed in it.
        """
        if self.size == 1:
            return work()
        done: list[T] = []
        for turn in (True, False):
            with self.ending_together():
                if (self.local_rank == 0) is turn:
                    done.append(work())
        return done[0]

    def agreed(self, wanted: bool) -> bool:
        """Whether any of them wants it. Raises ProcessLost."""
        if self.size == 1:
            return wanted
        flag = torch.tensor(int(wanted))
        with loss_told(self.size):
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.control)
        return bool(flag)

    def gathered(self, value: Any) -> list[Any]:
        """The values of all, in the order of their ranks. Raises ProcessLost."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with loss_told(self.size):
            dist.all_gather_object(values, value, group=self.control)
        return values

    def summed(self, value: Tensor) -> Tensor:
        """The sum over all, on the tensor's device; not differentiable."""
        value = value.detach().clone()
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def part(self) -> None:
        """Go on alone: what metrics and fastai do between processes is over."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def ending_together(self) -> Iterator[None]:
        """Work that may fail in any of them, at the end of which they wait for each other.

        Raises:
            EndedElsewhere: another process has failed; the first that has raises its own error, and tells.
        """
        if self.size == 1:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except Exception as failed:
            error = failed
        codes = self.gathered(None if error is None else getattr(error, "exit_code", 1))
        failing = [rank for rank, code in enumerate(codes) if code is not None]
        if not failing:
            return
        if error is not None and failing[0] == self.rank:
            raise error
        raise EndedElsewhere(codes[failing[0]])


ALONE = World()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun has started together, if it has; they part again at the end.

    NCCL carries tensors between GPUs, Gloo between CPUs.

    Args:
        device: that this process trains on.
    """
    size = started_together()
    if size == 1:
        yield ALONE
        return
    own: dict[str, Any] = {
        "rank": own_rank(),
        "world_size": size,
        "timeout": STEP_PATIENCE,
        "store": _store(size),
    }
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what names no GPU means this process' own
        dist.init_process_group("nccl", device_id=device, **own)
    else:
        dist.init_process_group("gloo", **own)
    hide()
    try:
        yield World(
            rank=dist.get_rank(),
            size=size,
            local_rank=local_rank() or 0,
            control=dist.new_group(backend="gloo", timeout=PATIENCE),
        )
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _store(size: int) -> dist.Store:
    """Where the processes find each other, as torchrun says; for each training anew."""
    found, _, _ = next(rendezvous("env://", own_rank(), size, timeout=STEP_PATIENCE))
    return dist.PrefixStore(f"visionkit-{next(_joined)}", found)
