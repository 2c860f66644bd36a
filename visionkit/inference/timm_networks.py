"""timm's classifiers, for ImageNet's 1,000 classes or its larger sets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torchvision

from visionkit.errors import UsageError, listing
from visionkit.inference.networks import Network, is_file_name, load_whole, read_weights, unavailable


def timm_network(name: str, weights: str | None) -> Network:
    """The network `name` of timm, which must be installed. Arguments and errors as of `load_network`.

    `name` may have the tag of its weights behind a point, "resnet50.a1_in1k", and `weights` may be the tag.
    """
    import timm

    shown = f"timm/{name}"
    from_file = weights is not None and is_file_name(weights)
    if weights is not None and not from_file:
        name = f"{name.partition('.')[0]}.{weights}"
    config = _config(name, shown, from_file)
    labels = _labels(config, shown)
    try:
        with _quiet_hub(), redirect_stdout(sys.stderr):
            model = timm.create_model(name, pretrained=not from_file, num_classes=len(labels))
    except Exception as error:  # no connection, no space, a damaged file in the cache …
        raise unavailable(shown, error, "Hugging Face's cache (~/.cache/huggingface/hub)") from error
    origin = f"weights {config.tag or 'of timm'} ({config.license or 'licence unknown'})"
    if weights is not None and from_file:
        path, state = read_weights(weights)
        load_whole(model, state, path, shown)
        origin = f"weights {path}, preprocessing and classes of {name.partition('.')[0]}.{config.tag}"
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    return Network(shown, model.eval(), transform, labels, origin)


def _config(name: str, shown: str, from_file: bool) -> Any:
    """What timm knows of the weights."""
    import timm

    plain, _, tag = name.partition(".")
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{plain}.*")]
    if tag and tag not in tags:
        known = f"There are: {listing(tags, 10)}." if tags else "It has none."
        raise UsageError(f"--arch {shown}: timm has no weights {tag!r} of {plain}. {known}")
    config = timm.get_pretrained_cfg(name)
    if config is None or not (config.has_weights or from_file):
        raise UsageError(
            f"--arch {shown}: timm has no weights for it; give a state dict with --weights FILE, or take "
            f"another network, such as resnet50."
        )
    return config


def _labels(config: Any, shown: str) -> tuple[str, ...]:
    """The names of the classes of these weights: torchvision's where they are ImageNet's 1,000."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if config.num_classes == 1000:
        categories = torchvision.models.get_model_weights("resnet50").DEFAULT.meta["categories"]
        return tuple(categories)
    subset = infer_imagenet_subset({"num_classes": config.num_classes})
    if subset is None:
        raise UsageError(
            f"--arch {shown}: the weights {config.tag} do not answer with classes of ImageNet (they have "
            f"{config.num_classes:,} outputs). Take weights that do, whose tags often end in in1k, in12k or "
            "in22k; timm.list_pretrained() lists them."
        )
    return tuple(ImageNetInfo(subset).label_descriptions())


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Without a warning for each of the hub's attempts: the last of them is the message."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
