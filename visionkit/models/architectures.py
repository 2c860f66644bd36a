"""Architectures by name: any classification network of torchvision, or of timm where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal

import torchvision
from torch import Tensor, nn

from visionkit.errors import UsageError, nearest
from visionkit.models.bodies import feature_body
from visionkit.models.small_vgg import SmallVgg

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OWN: dict[str, Callable[[], nn.Module]] = {"small_vgg": SmallVgg}
"""visionkit's own networks, which train from scratch: there are no weights for them."""


@dataclass(frozen=True)
class Architecture:
    """A network that can be built without weights, and cut down to its body."""

    name: str
    library: Literal["torchvision", "timm", "visionkit"]

    def build(self) -> nn.Module:
        """The whole network, with its ImageNet head and random weights."""
        if self.library == "visionkit":
            return OWN[self.name]()
        if self.library == "timm":
            import timm

            timm_model: nn.Module = timm.create_model(self.name, pretrained=False)
            return timm_model
        model: nn.Module = torchvision.models.get_model(self.name, weights=None)
        return model

    @cached_property
    def _fastai_meta(self) -> dict[str, Any]:
        """What fastai knows of some architectures, such as how to split them; empty for the others."""
        from fastai.vision.learner import model_meta

        meta: dict[str, Any] = model_meta.get(getattr(torchvision.models, self.name, None), {})
        return meta

    def body(self, model: nn.Module) -> nn.Module:
        """The body of a classifier: everything up to the last feature map."""
        return feature_body(model)

    def encoder(self, model: nn.Module) -> nn.Sequential:
        """The body as the steps between which a U-Net takes its skip connections.

        Raises:
            UsageError: the network has no feature maps of falling size.
        """
        from torchvision.models import VisionTransformer

        if self.library == "timm" or isinstance(model, VisionTransformer):
            raise UsageError(
                f"--arch {self.name}: cannot be the body of a U-Net; take a convolutional network of "
                "torchvision, such as resnet34 or convnext_tiny."
            )
        body = self.body(model)
        steps = list(body.children())
        while len(steps) == 1 and isinstance(steps[0], nn.Sequential):
            steps = list(steps[0].children())
        return nn.Sequential(*steps)

    @property
    def splitter(self) -> Callable[[nn.Module], Any]:
        """Parameter groups of a classifier for discriminative learning rates: fastai's where it has one."""
        from fastai.vision.learner import default_split

        split: Callable[[nn.Module], Any] = self._fastai_meta.get("split", default_split)
        return split

    @property
    def unet_splitter(self) -> Callable[[nn.Module], Any]:
        """Parameter groups of a U-Net: fastai's for resnets, else encoder and decoder."""
        from fastai.vision.learner import default_split

        return self.splitter if self.name.startswith("resnet") else default_split

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel that the pretrained weights expect, for values of 0 to
        1.
        """
        if self.library == "timm":
            import timm

            config = timm.get_pretrained_cfg(self.name)
            return tuple(config.mean), tuple(config.std)
        if self.library == "visionkit":
            return IMAGENET_MEAN, IMAGENET_STD
        transforms = torchvision.models.get_model_weights(self.name).DEFAULT.transforms()
        return tuple(transforms.mean), tuple(transforms.std)

    def pretrained_state(self) -> dict[str, Tensor]:
        """The best ImageNet weights that the library offers, downloaded or from its cache. Raises OSError
        offline.

        Raises:
            UsageError: there are none for this network.
        """
        if self.library == "visionkit":
            raise UsageError(
                f"--arch {self.name}: there are no pretrained weights for it. Train it from scratch, with "
                "--no-pretrained."
            )
        if self.library == "timm":
            import timm

            state: dict[str, Tensor] = timm.create_model(self.name, pretrained=True).state_dict()
        else:
            weights = torchvision.models.get_model_weights(self.name).DEFAULT
            state = weights.get_state_dict(progress=False, check_hash=True)
        return state


def architecture_names() -> list[str]:
    """Every name that `find_architecture` takes, torchvision's first."""
    names = [*torchvision.models.list_models(module=torchvision.models), *OWN]
    if find_spec("timm"):
        import timm

        names += [name for name in timm.list_models() if name not in set(names)]
    return names


def find_architecture(name: str) -> Architecture:
    """The architecture called `name`.

    Raises:
        UsageError: there is none; gives the nearest names.
    """
    if name in torchvision.models.list_models(module=torchvision.models):
        return Architecture(name, "torchvision")
    if name in OWN:
        return Architecture(name, "visionkit")
    names = architecture_names()
    if name in names:
        return Architecture(name, "timm")
    hint = nearest(name, names)
    more = "" if find_spec("timm") else " (More architectures come with timm: pip install timm.)"
    raise UsageError(f"--arch {name}: torchvision has no architecture of that name.{hint}{more}")
