"""Weights for a body: downloaded with the architecture's library, or from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UsageError, VisionkitError, listing
from visionkit.models.architectures import Architecture
from visionkit.settings import TrainSettings
from visionkit.visible import visible


@dataclass(frozen=True)
class LoadReport:
    """What of a state dict went into a network."""

    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors loaded"]
        for name in ("missing", "unexpected", "mismatched"):
            names = getattr(self, name)
            if names:
                parts.append(f"{len(names)} {name} ({listing(list(names), 3)})")
        return ", ".join(parts)


def starting_state(arch: Architecture, settings: TrainSettings) -> dict[str, Tensor] | None:
    """The weights to start from: `settings.weights`, else the library's; None for a training from scratch.

    Raises:
        UsageError: the file is no state dict.
        VisionkitError: the weights cannot be downloaded.
    """
    if settings.weights is not None:
        return read_state(settings.weights.expanduser())
    if not settings.pretrained:
        return None
    try:
        return arch.pretrained_state()
    except (OSError, RuntimeError) as error:
        raise VisionkitError(
            f"the ImageNet weights of {arch.name} cannot be downloaded ({error}). Give a state dict with "
            "--weights FILE, or train from scratch with --no-pretrained."
        ) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file, or in a .pth file read without running anything in it.

    Raises:
        UsageError: there is no such file, or it holds no state dict.
    """
    if not path.is_file():
        raise UsageError(f"--weights {path}: there is no such file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # a damaged file can raise anything, IndexError from torch's unpickler among it
        raise _not_a_state_dict(path, str(error).split("\n")[0] or type(error).__name__) from error
    if not isinstance(state, Mapping) or not state:
        raise _not_a_state_dict(path, "it holds something else than names and tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise _not_a_state_dict(path, "it holds something else than names and tensors")
        if not _is_plain(value):
            raise _not_a_state_dict(path, f"{visible(name)[:200]} is no tensor of plain numbers in memory")
    return dict(state)


def _is_plain(value: Tensor) -> bool:
    """Whether a network's tensor can be set to it: sparse, quantised and complex ones fail later."""
    return (
        value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )


def _not_a_state_dict(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"--weights {path}: not a state dict ({reason}). Give a .safetensors file, or a .pth file of tensors."
    )


def load_fitting(model: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Load every tensor of `state` that `model` has under the same name and shape."""
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)
    counters = "num_batches_tracked"  # older files lack them, and nothing depends on them
    return LoadReport(
        loaded=len(fitting),
        missing=tuple(name for name in own if name not in state and not name.endswith(counters)),
        unexpected=tuple(name for name in state if name not in own),
        mismatched=tuple(name for name in state if name in own and name not in fitting),
    )
