"""A checkpoint's file: tensors and, in the header's metadata, numbers and names; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from visionkit.atomic import atomic_file
from visionkit.errors import VisionkitError

FORMAT: Literal[1] = 1
_VALUES, _DIGEST = "visionkit", "sha256"
Count = Annotated[int, Field(ge=0)]


class Position(BaseModel):
    """Where in a training a checkpoint is.

    Args:
        stage: number of the stage that comes next, or is under way; one more than there are at the end.
        epoch: finished epochs of that stage.
        batch: finished training batches of the epoch after them.
        trained: whether that epoch lacks nothing but its validation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Annotated[int, Field(ge=1)]
    epoch: Count = 0
    batch: Count = 0
    trained: bool = False

    @property
    def between(self) -> bool:
        """Whether it is before the first batch of a stage, of which nothing is decided yet."""
        return not (self.epoch or self.batch or self.trained)

    def __str__(self) -> str:
        place = f"stage {self.stage}, epoch {self.epoch + 1}"
        if self.trained:
            return f"{place}, before its validation"
        return f"{place}, batch {self.batch + 1}" if self.batch else place


class Values(BaseModel):
    """What a checkpoint holds besides tensors. Numbers come back as they were, to the last bit."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = FORMAT
    position: Position
    stages: list[dict[str, Any]]
    pretrained: bool
    size: Annotated[int, Field(ge=1)]
    """Of the loaders' images, in pixels."""
    batch_size: Annotated[int, Field(ge=1)]
    batch_sizes: list[Annotated[int, Field(ge=1)]] = []
    """Those that `--bs auto` chose for finished stages."""
    rate: float | None = None
    """The peak rate of the stage under way."""
    progress: float = 0.0
    """Of the stage's schedule, from 0 to 1."""
    iterations: Count = 0
    optimizer: dict[str, Any] | None = None
    scaler: dict[str, Any] | None = None
    random: dict[str, Any]
    loader: list[Any]
    callbacks: dict[str, dict[str, Any]] = {}
    seconds: float
    """That the training has taken so far."""


@dataclass(frozen=True)
class Checkpoint:
    """A training at the end of a batch.

    Args:
        values: numbers and names.
        tensors: on the CPU; by names such as "model.0.weight" and "optimizer.3.grad_avg".
    """

    values: Values
    tensors: Mapping[str, Tensor]

    @property
    def position(self) -> Position:
        return self.values.position

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name` and a dot, without that."""
        start = f"{name}."
        return {key[len(start) :]: value for key, value in self.tensors.items() if key.startswith(start)}


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, which is whole or not there.

    Raises:
        OSError: it cannot be written.
    """
    values = json.dumps(checkpoint.values.model_dump())
    tensors = {name: tensor.contiguous() for name, tensor in sorted(checkpoint.tensors.items())}
    about = {_VALUES: values, _DIGEST: _digest(values, tensors)}
    with atomic_file(path) as file:
        file.write(save(tensors, about))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`.

    Raises:
        VisionkitError: it cannot be read, or is not what was written.
    """
    try:
        content = path.read_bytes()
        about = _metadata(content)
        tensors = load(content)
        if about[_DIGEST] != _digest(about[_VALUES], dict(sorted(tensors.items()))):
            raise ValueError("its checksum is another")
        return Checkpoint(Values.model_validate(json.loads(about[_VALUES])), tensors)
    except ValidationError as error:
        entry = ".".join(map(str, error.errors()[0]["loc"]))
        raise VisionkitError(
            f"{path}: damaged, or of another version of visionkit (entry {entry})."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise VisionkitError(f"{path}: damaged ({error}).") from error


def _metadata(content: bytes) -> dict[str, str]:
    """The texts in the header. `load` checks afterwards that the header is one."""
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        raise ValueError("it is cut short")
    header = json.loads(content[8 : 8 + length])
    about = header["__metadata__"]
    return {name: str(about[name]) for name in (_VALUES, _DIGEST)}


def _digest(values: str, tensors: Mapping[str, Tensor]) -> str:
    digest = sha256(values.encode())
    for name, tensor in tensors.items():
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
