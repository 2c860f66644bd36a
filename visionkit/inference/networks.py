"""A classifier with its weights and what belongs to them, and weights from files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from visionkit.errors import UsageError, VisionkitError
from visionkit.models.weights import read_state
from visionkit.sources.downloads.answers import reason_of

WEIGHT_ENDINGS = (".pth", ".pt", ".bin", ".safetensors")


@dataclass(frozen=True)
class Network:
    """A network with its weights, ready to answer.

    Args:
        name: the architecture, such as "resnet50"; "timm/resnet50" where torchvision has one of that name.
        model: in evaluation mode, on the CPU.
        transform: makes the model's input, of shape (3, height, width), from an RGB picture.
        labels: the name of each class.
        origin: which weights and whose preprocessing, for people.
    """

    name: str
    model: nn.Module
    transform: Callable[[Image.Image], Tensor]
    labels: tuple[str, ...]
    origin: str


def is_file_name(weights: str) -> bool:
    """Whether `weights` means a file rather than weights that a library offers under this name."""
    return weights.lower().endswith(WEIGHT_ENDINGS) or "/" in weights or Path(weights).is_file()


def read_weights(weights: str) -> tuple[Path, dict[str, Tensor]]:
    """The file that `weights` names, and the state dict in it. Raises as `read_state`."""
    path = Path(weights).expanduser()
    return path, read_state(path)


def unavailable(name: str, error: Exception, cache: object) -> VisionkitError:
    """The one message for weights that a library could not give."""
    return VisionkitError(
        f"the weights of {name} cannot be downloaded or read ({reason_of(error)[:300]}). Check the "
        f"connection, or give a state dict with --weights FILE. Downloaded weights are kept in {cache}: "
        "delete a file there that is damaged."
    )


def load_whole(model: nn.Module, state: dict[str, Tensor], path: Path, name: str) -> None:
    """Load `state` into `model`, all of it or none.

    Raises:
        UsageError: something is missing, left over, or of another shape.
    """
    before = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    try:
        result = model.load_state_dict(state, strict=False)
        wrong = [f"{key} is missing" for key in result.missing_keys]
        wrong += [f"{key} is not in this network" for key in result.unexpected_keys]
    except RuntimeError as error:  # of another shape
        wrong = [
            f"{key} is {_times(state[key].shape)} and not {_times(shape)}"
            for key, shape in before.items()
            if key in state and tuple(state[key].shape) != shape
        ] or [" ".join(str(error).split())[:200]]
    if wrong:
        more = f", and {len(wrong) - 1:,} more faults" if len(wrong) > 1 else ""
        raise UsageError(
            f"--weights {path}: not the weights of a whole {name} with its {_classes(before)} classes "
            f"({wrong[-1]}{more}). Is --arch the network that they were made with?"
        )
    model.eval()


def _classes(shapes: dict[str, tuple[int, ...]]) -> str:
    return f"{next(shape[0] for shape in reversed(shapes.values()) if shape):,}"


def _times(shape: torch.Size | tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
