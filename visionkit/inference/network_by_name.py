"""ImageNet classifiers by their names in torchvision and timm."""

from __future__ import annotations

from importlib.util import find_spec

import torchvision

from visionkit.errors import UsageError, nearest
from visionkit.inference.networks import Network
from visionkit.inference.timm_networks import timm_network
from visionkit.inference.torchvision_networks import torchvision_network

TIMM = "timm/"
"""Stands before a name that is to be timm's although torchvision has it too."""


def load_network(arch: str, weights: str | None = None) -> Network:
    """The classifier `arch`, with weights that are downloaded where they are not in the library's cache.

    Args:
        arch: a classifier of torchvision, else of timm; "timm/NAME" is timm's also where both have it.
        weights: a state dict (.safetensors, or a .pth file of tensors), or the name of weights that the
            library offers, such as "IMAGENET1K_V1"; None for the library's default.

    Raises:
        UsageError: there is no such classifier, or no such weights, or they do not fit.
        VisionkitError: the weights cannot be downloaded.
    """
    if arch in torchvision_names():
        return torchvision_network(arch, weights)
    if arch in torchvision.models.list_models():
        raise UsageError(
            f"--arch {arch}: not a classifier of images in torchvision's usual form, but for another task, "
            f"for videos or in 8 bits.{_near_classifier(arch)}"
        )
    if not find_spec("timm"):
        more = "more classifiers come with timm: pip install timm"
        if arch.startswith(TIMM):
            raise UsageError(f"--arch {arch}: timm is not installed; {more}.")
        hint = _near(arch, torchvision_names())
        raise UsageError(f"--arch {arch}: torchvision has no classifier of that name.{hint} ({more}.)")
    import timm

    name = arch.removeprefix(TIMM)
    if timm.is_model(name):
        return timm_network(name, weights)
    if arch.startswith(TIMM):
        hint = _near(name, timm.list_models())
        raise UsageError(f"--arch {arch}: timm has no network of that name.{hint}")
    hint = _near(name, list(dict.fromkeys([*torchvision_names(), *timm.list_models()])))
    raise UsageError(f"--arch {arch}: neither torchvision nor timm has a network of that name.{hint}")


def torchvision_names() -> list[str]:
    """The names of torchvision's classifiers."""
    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _near(name: str, known: list[str]) -> str:
    """A hint at the first names that begin with `name`, else at those most like it."""
    longer = [each for each in known if each.startswith(name)]
    return f" Did you mean {' or '.join(map(repr, longer[:3]))}?" if longer else nearest(name, known)


def _near_classifier(arch: str) -> str:
    """A hint at the classifier that `arch` is built on, else at those with a name like it."""
    within = [name for name in torchvision_names() if name in arch]
    if within:
        return f" Did you mean {max(within, key=len)!r}?"
    return nearest(arch, torchvision_names()) or " Take resnet50, for one."
