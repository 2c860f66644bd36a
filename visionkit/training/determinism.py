"""`--deterministic`: on a GPU, only operations that always give the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import VisionkitError

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_FITTING = (":4096:8", ":16:8")
"""The settings of cuBLAS's memory with which it always gives the same."""


@contextmanager
def deterministic(device: torch.device, wanted: bool) -> Iterator[None]:
    """Where `wanted`, compute on a GPU only what always comes out the same; afterwards all is as it was.

    Inside of `tuned`, since cuDNN must not choose by speed. Elsewhere nothing changes: operations on a CPU
    always give the same with as many threads.

    Raises:
        VisionkitError: an operation of the network or the loss has no such form; the message names it.
    """
    if not wanted or device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, os.environ.get(CUBLAS)
    strict = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    pooling = nn.modules.module.register_module_forward_hook(_pooled)
    try:
        if before[2] not in _FITTING:
            os.environ[CUBLAS] = _FITTING[0]
        cudnn.benchmark, cudnn.deterministic = False, True
        torch.use_deterministic_algorithms(True)
        yield
    except RuntimeError as error:
        found = re.search(r"(\w+) does not have a deterministic implementation", str(error))
        if found is None:
            raise
        raise VisionkitError(
            f"--deterministic: {found[1]}, a part of the network or the loss, does not always give the same "
            "on a GPU. Take another --arch or --loss, train on the CPU, or leave --deterministic out."
        ) from error
    finally:
        pooling.remove()
        torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
        cudnn.benchmark, cudnn.deterministic = before[:2]
        if before[2] is None:
            os.environ.pop(CUBLAS, None)
        else:
            os.environ[CUBLAS] = before[2]


def _pooled(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """The maximum over whole feature maps, as fastai's heads take it, in a form with such a gradient."""
    if type(module) is not nn.AdaptiveMaxPool2d or module.output_size not in (1, (1, 1)):
        return None
    if not isinstance(output, Tensor):  # with the places of the maxima
        return None
    return inputs[0].amax((-2, -1), keepdim=True)
