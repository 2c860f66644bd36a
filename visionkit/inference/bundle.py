"""Writing the model bundle: `model.safetensors` with the weights and `model.json` with what they mean.

There is no pickle in it. `visionkit.load` reads it; what this version writes, later ones read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from visionkit.atomic import atomic_file, write_atomically
from visionkit.errors import VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE
from visionkit.inference.description import Description, Steps, Weights
from visionkit.inference.preprocessing import Preprocessing
from visionkit.models.architectures import find_architecture
from visionkit.models.build import Network, network_with
from visionkit.versions import versions

if TYPE_CHECKING:
    from fastai.learner import Learner

    from visionkit.data.dataset import Dataset
    from visionkit.settings import TrainSettings

COMPARED_IMAGES = 4
COMPARED_PIXELS = 1 << 20
"""Of all images together that are compared; one image is, whatever its size."""
INPUT_TOLERANCE, OUTPUT_TOLERANCE = 2e-3, 1e-3
"""Far below a step of 8 bits, and far above what devices differ by; outputs relative to the largest."""
_ACTIVATIONS = {
    "single-label": "softmax",
    "multi-label": "sigmoid",
    "segmentation": "softmax",
    "keypoints": "points",
}


def write_bundle(
    folder: Path,
    learn: Learner,
    dataset: Dataset,
    settings: TrainSettings,
    metrics: dict[str, float],
    note: Callable[[str], None] | None = None,
) -> None:
    """Write the bundle of `learn` into `folder`, which is made where it is missing.

    Preprocessing and network are built again from what is written, and compared with the Learner's own on a
    few validation images; where they differ, the bundle says so.

    Args:
        folder: the run's `model/`.
        learn: the trained Learner.
        dataset: what it was trained on.
        settings: the settings of the last stage: `size` is the size that the model was last trained at.
        metrics: the final validation figures.
        note: told in one line where the bundle's predictions may differ from those of validation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = write_weights(folder, learn.model.state_dict())
    try:
        description = _described(learn, dataset, settings, metrics, weights)
    except Exception as error:  # a finished training is worth more than its description
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        told = f"{DESCRIPTION_FILE} is not written, and visionkit.load cannot read the model: {reason}"
    else:
        write_description(folder, description)
        told = "" if description.exact else f"visionkit.load may predict otherwise: {description.caveat}"
    if told and note is not None:
        note(f"model      {told}")


def write_weights(folder: Path, state: dict[str, Tensor]) -> Weights:
    """Write the file with the weights; returns what the description says of it."""
    content = save({name: value.contiguous() for name, value in state.items()})
    with atomic_file(folder / WEIGHTS_FILE) as file:
        file.write(content)
    return Weights(sha256=sha256(content).hexdigest(), bytes=len(content))


def write_description(folder: Path, description: Description) -> None:
    """Write `model.json`: behind the weights that it names, so that a kill never leaves a false pair."""
    write_atomically(folder / DESCRIPTION_FILE, description.model_dump_json(indent=2) + "\n")


def _described(
    learn: Learner,
    dataset: Dataset,
    settings: TrainSettings,
    metrics: dict[str, float],
    weights: Weights,
) -> Description:
    from visionkit.inference.capture import capture_network, capture_steps

    arch, task = find_architecture(settings.arch), dataset.recipe.task
    vocab = dataset.task.vocab(learn.dls)
    network = capture_network(learn, arch, dataset.task.outputs(vocab))
    steps, unknown = capture_steps(learn.dls)
    size = [int(side) for side in learn.dls.valid.one_batch()[0].shape[-2:]]
    caveat = f"nothing is known of the transform {unknown[0]}" if unknown else None
    caveat = caveat or _difference(learn, dataset, network, steps, size)
    return Description(
        format_version=steps.format_version,
        task=task,
        recipe=dataset.recipe.name,
        dataset=dataset.recipe.dataset,
        synthetic=dataset.synthetic,
        network=network,
        vocab=[_storable(name) for name in vocab],
        input_size=size,
        preprocessing=steps,
        exact=caveat is None,
        caveat=caveat,
        activation=_ACTIVATIONS[task],  # type: ignore[arg-type]
        thresholds=getattr(settings, "threshold", None) if task == "multi-label" else None,
        metrics={name: value if math.isfinite(value) else None for name, value in metrics.items()},
        data_fingerprint=dataset.fingerprint(),
        versions=versions(),
        weights=weights,
    )


def _storable(name: str) -> str:
    """`name` with what is no text, such as a byte of a folder's name, written out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _difference(
    learn: Learner, dataset: Dataset, network: Network, steps: Steps, size: list[int]
) -> str | None:
    """How the bundle differs from the Learner on a few validation images; None where it does not."""
    from visionkit.inference.capture import validation_inputs

    count = min(COMPARED_IMAGES, max(1, COMPARED_PIXELS // (size[0] * size[1])), len(dataset.valid))
    chosen = sorted({round(place) for place in torch.linspace(0, len(dataset.valid) - 1, count).tolist()})
    preprocessing = Preprocessing(steps, size)
    try:
        theirs = validation_inputs(learn.dls, chosen)
        ours = torch.stack([preprocessing(dataset.images[dataset.valid[place]]) for place in chosen])
        if theirs.shape != ours.shape or not _near(theirs.cpu(), ours, INPUT_TOLERANCE):
            return "the recipe's validation transforms change images in a way that is not known"
        twin = network_with(network, (size[0], size[1]), learn.model.state_dict())
        expected, found = _outputs(learn.model, theirs), _outputs(twin.to(theirs.device), theirs)
    except Exception as error:  # a finished training is worth more than this comparison
        return " ".join(str(error).split())[:300] or type(error).__name__
    largest = float(expected.abs().max())
    if expected.shape != found.shape or not _near(expected, found, OUTPUT_TOLERANCE * max(1.0, largest)):
        return "the network that is built again answers differently"
    return None


def _outputs(model: nn.Module, images: Tensor) -> Tensor:
    was_training = model.training
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        outputs: Tensor = model.eval()(images)
    model.train(was_training)
    return outputs.as_subclass(Tensor).float()


def _near(ours: Tensor, theirs: Tensor, tolerance: float) -> bool:
    return bool((ours - theirs).abs().max() <= tolerance)


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
