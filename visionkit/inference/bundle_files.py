"""Reading a bundle: two files that may come from anywhere, of which nothing is ever executed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torchvision
from safetensors.torch import load
from torch import Tensor, nn

from visionkit.errors import VisionkitError
from visionkit.inference.description import Description, parse_description
from visionkit.models.architectures import OWN
from visionkit.models.build import Network, network_shapes, network_with

WEIGHTS_FILE, DESCRIPTION_FILE = "model.safetensors", "model.json"
MAX_DESCRIPTION = 1 << 23
MAX_HEADER = 100_000_000
"""Bytes that safetensors itself allows for names and shapes."""


@dataclass(frozen=True)
class Bundle:
    """A model as it stands in its folder: what it is, and the network with its weights, on the CPU."""

    folder: Path
    description: Description
    model: nn.Module


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`.

    Raises:
        VisionkitError: a file is missing, damaged, not what it should be, or of a newer visionkit; or the
            network needs a package that is not installed. The message names the file.
    """
    description = read_description(folder)
    return Bundle(folder, description, _network(folder, description))


def read_description(folder: Path) -> Description:
    """What the bundle in `folder` says of its model, without its weights.

    Raises:
        VisionkitError: there is no bundle, or its description is damaged or of a newer visionkit.
    """
    path = folder / DESCRIPTION_FILE
    return parse_description(_read(path, MAX_DESCRIPTION), str(path))


def _network(folder: Path, description: Description) -> nn.Module:
    """The network with the weights in `folder`; memory is taken only for what fits the description."""
    named = folder / DESCRIPTION_FILE
    _require_architecture(description.network, named)
    height, width = description.input_size
    try:
        shapes = network_shapes(description.network, (height, width))
    except Exception as error:  # whatever torchvision, timm or torch say of sizes that cannot be
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise VisionkitError(f"{named}: network: it cannot be built ({reason}).") from error
    state = _weights(folder, description, shapes.state_dict())
    return network_with(description.network, (height, width), state, shapes)


def _require_architecture(network: Network, named: Path) -> None:
    if network.library == "timm":
        try:
            import timm
        except ImportError:
            raise VisionkitError(
                f"{named}: network.arch: {network.arch} is one of timm's, which is not installed: "
                "pip install timm."
            ) from None
        known = network.arch in timm.list_models()
    else:
        names = OWN if network.library == "visionkit" else torchvision.models.list_models(torchvision.models)
        known = network.arch in names
    if not known:
        raise VisionkitError(
            f"{named}: network.arch: {network.library} has no architecture {network.arch!r} here. Was the "
            "model trained with a newer version of it?"
        )


def _weights(folder: Path, description: Description, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in the file with the weights: exactly those of `wanted`, which has shapes only."""
    path = folder / WEIGHTS_FILE
    needed = sum(value.numel() for value in wanted.values()) * 8 + MAX_HEADER
    content = _read(path, needed, description.weights.bytes)
    digest = sha256(content).hexdigest()
    if digest != description.weights.sha256:
        raise VisionkitError(
            f"{path}: not the weights that {DESCRIPTION_FILE} beside it was written with (their SHA-256 "
            "differs). The file is damaged, or one of the two was changed."
        )
    try:
        state: dict[str, Tensor] = load(content)
    except Exception as error:  # safetensors has errors of its own, and KeyError for types that torch lacks
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise VisionkitError(f"{path}: damaged ({reason}).") from error
    for name, value in wanted.items():
        if name not in state:
            raise VisionkitError(f"{path}: the tensor {name} is missing. It is of another network.")
        state[name] = _fitting(state[name], value, f"{path}: the tensor {name}")
    left = sorted(state.keys() - wanted.keys())
    if left:
        raise VisionkitError(
            f"{path}: the tensor {left[0][:200]!r} is not one of this network's. It is of another network."
        )
    return state


def _fitting(value: Tensor, wanted: Tensor, what: str) -> Tensor:
    """`value` in the number format of `wanted`, and of its shape."""
    if value.shape != wanted.shape:
        raise VisionkitError(f"{what} has the shape {list(value.shape)}, the network {list(wanted.shape)}.")
    if value.is_floating_point() != wanted.is_floating_point() or value.is_complex():
        raise VisionkitError(f"{what} holds {value.dtype}, and the network takes {wanted.dtype}.")
    return value.to(wanted.dtype)


def _read(path: Path, limit: int, size: int | None = None) -> bytes:
    """The content of a regular file of at most `limit` bytes, and of exactly `size` where that is known."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):  # a pipe would block for ever
            raise VisionkitError(f"{path}: this is no regular file.")
        if about.st_size > limit:
            raise VisionkitError(f"{path}: {about.st_size:,} bytes are too many for it; it is damaged.")
        if size is not None and about.st_size != size:
            raise VisionkitError(
                f"{path}: has {about.st_size:,} bytes and was written with {size:,}. It is damaged or was "
                "changed; copy it again."
            )
        with path.open("rb") as file:
            content = file.read(about.st_size + 1)
    except FileNotFoundError:
        raise VisionkitError(
            f"{path}: there is no such file. A model is a folder with {DESCRIPTION_FILE} and {WEIGHTS_FILE}, "
            "or a finished run."
        ) from None
    except MemoryError:
        raise VisionkitError(f"{path}: there is not enough memory to read it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VisionkitError(f"{path}: cannot be read ({reason}).") from error
    if not content or len(content) != about.st_size:
        raise VisionkitError(f"{path}: {'empty' if not content else 'changes while it is read'}.")
    return content
