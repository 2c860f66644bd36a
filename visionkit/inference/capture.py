"""What a trained Learner does with an image, written down: its preprocessing and its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fastai.callback.hook import Hooks
from fastai.data.core import DataLoaders
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.data.transforms import ToTensor as FastaiToTensor
from fastai.learner import Learner
from fastai.vision import augment
from fastai.vision.core import AddMaskCodes, PILImageBW, PointScaler, TensorImageBW, Transform
from fastai.vision.models.unet import DynamicUnet
from PIL import Image
from torch import Tensor

from visionkit.data.upright_block import opens_upright
from visionkit.inference.description import (
    CentreCrop,
    Interpolate,
    Normalise,
    RatioCrop,
    Resize,
    Steps,
    ToTensor,
)
from visionkit.loading.loader import CachedLoading
from visionkit.models.architectures import Architecture
from visionkit.models.build import ClassifierNetwork, Network, UnetNetwork
from visionkit.models.heads import describe_head

_OF_TARGETS = (AddMaskCodes, PointScaler, FastaiToTensor)
"""Transforms that change nothing of an image but its class."""
_RESAMPLES = {value: value.name.lower() for value in Image.Resampling}


def capture_network(learn: Learner, arch: Architecture, outputs: int) -> Network:
    """How to build the network of `learn` on `arch` again.

    Raises:
        ValueError: it has a layer that has no description.
    """
    model = learn.model
    if isinstance(model, DynamicUnet):
        encoder, *above = model.layers
        blocks = sum(hasattr(layer, "shuf") for layer in above)
        shuffles = sum(type(layer).__name__ == "PixelShuffle_ICNR" for layer in above)
        skips = _hooked(list(encoder.children()), model.sfs)
        if len(skips) != blocks:
            raise ValueError("the skip connections of the U-Net are not found")
        return UnetNetwork(
            arch=arch.name, library=arch.library, outputs=outputs, skips=skips, shuffle=shuffles == 1
        )
    return ClassifierNetwork(
        arch=arch.name, library=arch.library, outputs=outputs, head=describe_head(model[1])
    )


def _hooked(steps: Sequence[torch.nn.Module], hooks: Hooks) -> list[int]:
    """The numbers of the steps that fastai's `hooks` take the skip connections from, in their order."""
    places = {handle: number for number, step in enumerate(steps) for handle in step._forward_hooks}
    return [places[hook.hook.id] for hook in hooks if hook.hook.id in places]


def capture_steps(dls: DataLoaders) -> tuple[Steps, list[str]]:
    """What the validation transforms of `dls` do with an image.

    Returns:
        The steps, and the names of transforms that they leave out because nothing is known of them.
    """
    loader = dls.valid
    steps: list[Any] = []
    unknown = []
    for transform in [*loader.after_item.fs, *loader.before_batch.fs, *loader.after_batch.fs]:
        if transform.split_idx == 0:  # of training only
            continue
        found = _steps_of(transform)
        if found is None:
            unknown.append(type(transform).__name__)
        else:
            steps += found
    pictures = [step for step in steps if isinstance(step, Resize | CentreCrop)]
    tensors = [step for step in steps if not isinstance(step, Resize | CentreCrop)]
    if not any(isinstance(step, ToTensor) for step in tensors):
        tensors.insert(0, ToTensor(divisor=1.0))
    mode = "L" if _in_shades(loader) else "RGB"
    upright = opens_upright(loader.dataset.tls[0].tfms.fs)
    return Steps.model_validate({"mode": mode, "upright": upright, "steps": [*pictures, *tensors]}), unknown


def _in_shades(loader: Any) -> bool:
    """Whether images are opened in shades of grey; where they come from the cache, files are not needed."""
    if isinstance(loader, CachedLoading):
        return isinstance(loader.one_batch()[0], TensorImageBW)
    return isinstance(loader.dataset[0][0], PILImageBW)


def _steps_of(transform: Any) -> list[Any] | None:
    """The steps of one of fastai's transforms in validation; None for one that is not known."""
    if type(transform) is Transform or isinstance(transform, _OF_TARGETS):
        return []
    match transform:
        case augment.Resize():
            return [_resize(transform, transform.size, str(transform.method), transform.pad_mode)]
        case augment.RandomResizedCrop():
            return _enlarged_and_cut(transform)
        case augment.CropPad() | augment.RandomCrop():
            width, height = transform.size
            pad_mode = getattr(transform, "pad_mode", "zeros")
            return [CentreCrop.model_validate({"width": width, "height": height, "pad_mode": str(pad_mode)})]
        case IntToFloatTensor():
            return [ToTensor(divisor=float(transform.div))]
        case augment.RandomResizedCropGPU():
            ratio = [float(side) for side in transform.ratio]
            return [
                RatioCrop(ratio=ratio, scale=float(transform.valid_scale)),
                Interpolate(size=_size(transform.size), mode=transform.mode),
            ]
        case augment.AffineCoordTfm():
            return [
                Interpolate(
                    size=_size(transform.size),
                    mode=transform.mode,
                    pad_mode=transform.pad_mode,
                    align_corners=bool(transform.align_corners),
                )
            ]
        case Normalize():
            return [Normalise(mean=_numbers(transform.mean), std=_numbers(transform.std))]
    return None


def _resize(transform: Any, size: Sequence[int], method: str, pad_mode: str) -> Resize:
    width, height = map(int, size)
    resample = _RESAMPLES[Image.Resampling(transform.mode)]
    return Resize.model_validate(
        {"width": width, "height": height, "method": method, "pad_mode": pad_mode, "resample": resample}
    )


def _enlarged_and_cut(transform: Any) -> list[Any]:
    """Fastai's `RandomResizedCrop` in validation: slightly larger than its size, then the middle."""
    transform.before_call(Image.new("RGB", tuple(transform.size)), 1)
    width, height = transform.size
    return [
        _resize(transform, transform.final_size, "squish", "zeros"),
        CentreCrop(width=width, height=height),
    ]


def _size(size: Any) -> list[int] | None:
    if size is None:
        return None
    return [size, size] if isinstance(size, int) else [int(side) for side in size]


def _numbers(values: Tensor) -> list[float]:
    numbers: list[float] = values.flatten().tolist()
    return numbers


def validation_inputs(dls: DataLoaders, indices: Sequence[int]) -> Tensor:
    """What the network gets of the validation images with these places, from `dls` itself."""
    loader = dls.valid
    batch = loader.do_batch([loader.do_item(index) for index in indices])
    images: Tensor = loader.after_batch(augment.to_device(batch, loader.device))[0]
    return images.as_subclass(Tensor)
