"""The model bundle: `model.safetensors` with the weights and `model.json` with what they mean. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file

from visionkit.atomic import write_atomically
from visionkit.errors import VisionkitError
from visionkit.models.architectures import find_architecture
from visionkit.versions import versions

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset
    from visionkit.settings import TrainSettings

FORMAT_VERSION = 1
WEIGHTS_FILE, DESCRIPTION_FILE = "model.safetensors", "model.json"


def write_bundle(
    folder: Path, learn: Learner, dataset: Dataset, settings: TrainSettings, metrics: dict[str, float]
) -> None:
    """Write the bundle of `learn` into `folder`, which is made where it is missing.

    Args:
        folder: the run's `model/`.
        learn: the trained Learner.
        dataset: what it was trained on.
        settings: the settings of the last stage: `size` is the size that the model was last trained at.
        metrics: the final validation figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arch = find_architecture(settings.arch)
    mean, std = arch.normalization
    vocab = dataset.task.vocab(learn.dls)
    description: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "recipe": dataset.recipe.name,
        "task": dataset.recipe.task,
        "synthetic": dataset.synthetic,
        "arch": arch.name,
        "library": arch.library,
        "network": "unet" if dataset.recipe.task == "segmentation" else "classifier",
        "vocab": vocab,
        "n_out": dataset.task.outputs(vocab),
        "input_size": list(learn.dls.valid.one_batch()[0].shape[-2:]),
        "item_resize": _item_resize(learn),
        "mean": list(mean),
        "std": list(std),
        "threshold": getattr(settings, "threshold", None),
        "metrics": metrics,
        "data_fingerprint": dataset.fingerprint(),
        "versions": versions(),
    }
    weights = folder / WEIGHTS_FILE
    beside = weights.with_name(f".{weights.name}.{os.getpid()}.part")
    save_file({name: value.contiguous() for name, value in learn.model.state_dict().items()}, beside)
    beside.replace(weights)
    write_atomically(folder / DESCRIPTION_FILE, json.dumps(description, indent=2) + "\n")


def load_weights(folder: Path, learn: Learner) -> None:
    """Load the weights of the bundle in `folder` into `learn`, all of them or none.

    Raises:
        VisionkitError: the file is missing or damaged, or is of another network.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise VisionkitError(f"{path}: there is no such file; the run has no finished model.")
    try:
        learn.model.load_state_dict(load_file(path, device=str(learn.dls.device)), strict=True)
    except RuntimeError as error:
        raise VisionkitError(
            f"{path}: not the weights of this run's network: {str(error).splitlines()[0]}"
        ) from error
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            raise VisionkitError(f"{path}: damaged ({error}).") from error
        raise


def _item_resize(learn: Learner) -> dict[str, Any] | None:
    """How an image is resized before it is batched: fastai's `Resize` among the item transforms, as a
    dictionary.
    """
    from fastai.vision.augment import Resize

    for transform in learn.dls.valid.after_item.fs:
        if isinstance(transform, Resize):
            width, height = transform.size
            return {"width": width, "height": height, "method": str(transform.method)}
    return None
