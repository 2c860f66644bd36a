"""The kinds of values that settings have, as they come from flags, files and Python, and their help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field


def _split(value: Any) -> Any:
    """Text such as "5, 3" or "5 3" as its parts, a number as the only part; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _split_at_commas(value: Any) -> Any:
    """Text such as "Sandwich, Traffic light" as its parts, which may hold spaces."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _none_if_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def setting(help: str, panel: str, metavar: str = "", **limits: Any) -> Any:
    """Pydantic's `Field` with the help text, and the panel and placeholder of the command line's help."""
    return Field(description=help, json_schema_extra={"panel": panel, "metavar": metavar}, **limits)


Precision = Literal["auto", "fp32", "bf16", "fp16"]
PositiveInts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_split)]
Counts = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_split), Field(min_length=1)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_split_at_commas)]
LearningRate = float | Literal["auto"]
OptionalPath = Annotated[Path | None, BeforeValidator(_none_if_empty)]
OptionalFolds = Annotated[Annotated[int, Field(ge=2)] | None, BeforeValidator(_none_if_empty)]
LossName = Literal["auto", "cross-entropy", "bce", "focal", "dice", "cross-entropy+dice"]
ClassWeights = Annotated[
    Literal["none", "auto"] | Path, BeforeValidator(lambda value: value if str(value).strip() else "none")
]
OptionalInt = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_none_if_empty)]
