"""visionkit: a multi-task vision toolkit on fastai.

The public names are loaded when they are first used, so that `import visionkit` stays free of torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenMP's threads spin while they wait, by default. Beside loader processes or any other load that makes a
# training on a CPU several times slower; sleeping costs next to nothing. Read when torch is loaded, and left
# alone where it is set.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PUBLIC = {
    "Recipe": "visionkit.recipe",
    "Sample": "visionkit.recipe",
    "TrainSettings": "visionkit.settings",
    "Run": "visionkit.runs",
    "VisionkitError": "visionkit.errors",
    "get_recipe": "visionkit.registry",
    "load": "visionkit.inference.predictor",
    "recipe_names": "visionkit.registry",
    "resume": "visionkit.training.resuming",
    "train": "visionkit.training.train",
}

if TYPE_CHECKING:
    from visionkit.errors import VisionkitError as VisionkitError
    from visionkit.inference.predictor import load as load
    from visionkit.recipe import Recipe as Recipe
    from visionkit.recipe import Sample as Sample
    from visionkit.registry import get_recipe as get_recipe
    from visionkit.registry import recipe_names as recipe_names
    from visionkit.runs import Run as Run
    from visionkit.settings import TrainSettings as TrainSettings
    from visionkit.training.resuming import resume as resume
    from visionkit.training.train import train as train

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'visionkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
