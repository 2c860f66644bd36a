"""Settings that hold for all recipes: where files are kept, and what archives may unpack to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from visionkit.setting_types import OptionalPath, setting


class ArchiveSettings(BaseModel):
    """What an archive may unpack to before it is taken for a bomb."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_gb: Annotated[
        float, setting("Gigabytes that one archive may unpack to.", "Archives", gt=0, allow_inf_nan=False)
    ] = 200.0
    max_ratio: Annotated[
        float,
        setting("Bytes that each byte of an archive may unpack to.", "Archives", ge=1, allow_inf_nan=False),
    ] = 200.0


class CacheSettings(BaseModel):
    """Where decoded images are kept, and how many; and how many shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Annotated[
        OptionalPath, setting("Folder for decoded images; cache in the data's folder if empty.", "Cache")
    ] = None
    max_gb: Annotated[
        float,
        setting(
            "Gigabytes that decoded images may take; those not used for longest go first.",
            "Cache",
            gt=0,
            allow_inf_nan=False,
        ),
    ] = 100.0
    shards_gb: Annotated[
        float,
        setting(
            "Gigabytes that fetched shards may take; those not used for longest go first.",
            "Cache",
            gt=0,
            allow_inf_nan=False,
        ),
    ] = 50.0


class PathSettings(BaseModel):
    """Where visionkit keeps what it fetches and what it makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: Annotated[Path, setting("Folder that run folders are made in.", "Paths")] = Path("runs")
    data: Annotated[Path, setting("Folder for downloaded and drawn data sets.", "Paths")] = Path(
        "~/.visionkit"
    )
