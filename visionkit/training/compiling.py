"""`--compile`: the network as one program, made by torch's compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from fastai.layers import ToTensorBase
from torch import nn

from visionkit.errors import VisionkitError


def require_compiler(device: torch.device) -> None:
    """Compile something small on `device`, and so find out early.

    Raises:
        VisionkitError: torch's compiler does not work here; says why in torch's words.
    """
    with _explained():
        try:
            torch.compile(_small)(torch.ones(8, device=device))
        finally:
            torch.compiler.reset()


@contextmanager
def compiled(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Compile `model` in place meanwhile, once for each shape that it meets; afterwards it is as it was.

    Names and values of weights are the same throughout. Nothing is done where it is not `wanted`.

    Raises:
        VisionkitError: the network cannot be compiled.
    """
    if not wanted:
        yield
        return
    torch.compiler.reset()  # the programs of earlier stages, of which torch keeps only so many
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, ToTensorBase):  # the end of fastai's U-Net, on which the compiler chokes
                stack.enter_context(_replaced(module, _same))
        stack.enter_context(_replaced(model, torch.compile(model.forward, dynamic=False)))
        stack.enter_context(_explained())
        yield


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let `module` compute with another `forward` meanwhile."""
    own = vars(module)
    before = {"forward": own["forward"]} if "forward" in own else {}
    own["forward"] = forward
    try:
        yield
    finally:
        del own["forward"]
        own.update(before)


def _same(values: torch.Tensor) -> torch.Tensor:
    return values


@contextmanager
def _explained() -> Iterator[None]:
    """One message for whatever goes wrong in the compiler."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise VisionkitError(
            f"--compile: torch's compiler cannot be used here ({reason}). "
            "On a CPU it needs a C++ compiler such as g++, on a GPU Triton. Leave the option out."
        ) from error


def _small(values: torch.Tensor) -> torch.Tensor:
    return values.sin() + 1
