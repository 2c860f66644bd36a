"""`--bs auto`: the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from fastai.learner import Learner
from torch import Tensor

from visionkit.errors import VisionkitError
from visionkit.training.hardware import resolve_precision
from visionkit.training.memory import KeptBytes, available_memory, ran_out_of_memory
from visionkit.training.snapshot import Snapshot, release
from visionkit.training.step import innermost

STEPS = 20
"""Batches that an epoch should have at least: with fewer steps too little would be learnt in it."""
SMALLEST = 2
SPARE = 0.1
"""Share of the memory that is left free."""
BACKWARD = 2.0
"""How many times what the forward pass keeps a whole step takes on a CPU, gradients and copies included."""


@dataclass(frozen=True)
class ChosenSize:
    """A batch size, and why it is no larger."""

    size: int
    reason: str

    def __str__(self) -> str:
        return f"batches of {self.size}, {self.reason}"


def largest_batch(learn: Learner, images: int) -> ChosenSize:
    """The largest batch that a training step of `learn` has memory for at the size of its DataLoaders.

    On a GPU steps are tried with ever larger batches; elsewhere what two small ones keep is measured and
    compared with the memory there is. A tenth stays free, and an epoch keeps 20 batches. Weights, optimiser,
    BatchNorm's statistics and random states are afterwards what they were.

    Args:
        learn: with an optimiser, and frozen as it will be trained.
        images: how many an epoch trains on.

    Raises:
        VisionkitError: not even a batch of two fits.
    """
    most = max(SMALLEST, images // STEPS)
    before = Snapshot(learn)
    try:
        trial = Trial(learn)
        if _can_try(learn.dls.device):
            size = doubled(trial.fits, most)
        else:
            size = min(most, estimated(trial.kept_bytes, available_memory()))
    finally:
        before.restore()
    if size < SMALLEST:
        raise VisionkitError(
            f"--bs auto: not even {SMALLEST} images of {learn.dls.settings.size} px fit into the memory that "
            "is free. Lower --size, or take a smaller --arch."
        )
    limited = size == most
    return ChosenSize(
        size, f"so that an epoch has {images // size} steps" if limited else "the largest that fits"
    )


def _can_try(device: torch.device) -> bool:
    """Whether memory that runs out is an error to go on from: on a CPU the system may end the process."""
    return device.type == "cuda"


def doubled(fits: Callable[[int], bool], most: int) -> int:
    """The largest of 2, 4, 8 … and `most` that fits; 0 where 2 does not. None is tried after one that is too
    large.
    """
    found, size = 0, min(SMALLEST, most)
    while fits(size):
        found = size
        if size == most:
            break
        size = min(2 * size, most)
    return found


def estimated(kept_bytes: Callable[[int], int], free: int) -> int:
    """How many images a step has memory for; a multiple of 8 where there are 8 or more.

    Args:
        kept_bytes: what the forward pass of so many images keeps.
        free: bytes that there are.
    """
    few, more = kept_bytes(2), kept_bytes(4)
    each = max(1, (more - few) // 2) * BACKWARD
    size = int(free * (1 - SPARE) / each)
    return size - size % 8 if size >= 8 else size


class Trial:
    """Training steps of `learn` with batches of any size, made of the images of one."""

    def __init__(self, learn: Learner) -> None:
        self.learn = learn
        self.device = learn.dls.device
        learn.model.to(self.device).train()
        if hasattr(learn.loss_func, "to"):
            learn.loss_func.to(self.device)
        batch = [value.as_subclass(Tensor) for value in learn.dls.train.one_batch()]
        inputs = getattr(learn.dls, "n_inp", 1)
        self.inputs, self.targets = batch[:inputs], batch[inputs:]
        precision = resolve_precision(learn.dls.settings.precision, self.device)
        self.autocast = torch.autocast(
            self.device.type,
            dtype=torch.float16 if precision == "fp16" else torch.bfloat16,
            enabled=precision != "fp32",
        )

    def fits(self, size: int) -> bool:
        """Whether two steps with `size` images leave a tenth of the GPU's memory free."""
        release(self.learn)
        free = torch.cuda.mem_get_info(self.device)[0] + torch.cuda.memory_reserved(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        try:
            for _ in range(2):  # the second with the optimiser's averages
                self.step(size)
            torch.cuda.synchronize(self.device)
        except Exception as error:
            if ran_out_of_memory(error):
                return False
            raise
        return torch.cuda.max_memory_reserved(self.device) <= (1 - SPARE) * free

    def kept_bytes(self, size: int) -> int:
        """What the forward pass of `size` images keeps for the backward pass."""
        with KeptBytes() as kept:
            self.loss(size)
        return kept.bytes

    def step(self, size: int) -> None:
        """Forward pass, loss, backward pass and optimiser."""
        self.loss(size).backward()
        self.learn.opt.step()
        self.learn.opt.zero_grad()

    def loss(self, size: int) -> Tensor:
        """The loss of a batch of `size` images."""
        with torch._C.DisableTorchFunctionSubclass():
            inputs, targets = (
                [value[torch.arange(size, device=value.device) % len(value)] for value in part]
                for part in (self.inputs, self.targets)
            )
            with self.autocast:
                predicted = self.learn.model(*map(innermost, inputs))
            loss: Tensor = self.learn.loss_func(predicted.float(), *targets)
        return loss.as_subclass(Tensor)
