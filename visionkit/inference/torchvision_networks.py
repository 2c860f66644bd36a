"""torchvision's classifiers: each set of weights knows its preprocessing and its classes."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from contextlib import redirect_stdout
from typing import Any

import torch
import torchvision
from torch import Tensor

from visionkit.errors import UsageError
from visionkit.inference.networks import Network, is_file_name, load_whole, read_weights, unavailable

_AS_PRETRAINED: dict[str, dict[str, Any]] = {
    name: {"transform_input": True, "aux_logits": False, "init_weights": False}
    for name in ("googlenet", "inception_v3")
}
"""What torchvision itself sets where it loads weights, which decides what inputs the network wants."""
_SIDE_HEADS = ("aux1.", "aux2.", "AuxLogits.")
"""Tensors of these two networks that matter in trainings only."""
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""Names as in the files that torchvision offers, and not in its network."""


def torchvision_network(name: str, weights: str | None) -> Network:
    """The classifier `name` of torchvision. Arguments and errors as of `load_network`."""
    offered = list(torchvision.models.get_model_weights(name))
    if weights is not None and is_file_name(weights):
        return _from_file(name, weights, offered)
    chosen = _chosen(name, weights, offered)
    try:
        with redirect_stdout(sys.stderr):  # torch.hub says what it downloads, and answers may be JSON
            model = torchvision.models.get_model(name, weights=chosen, progress=sys.stderr.isatty())
    except Exception as error:  # no connection, no space, a damaged file in the cache …
        raise unavailable(name, error, f"{torch.hub.get_dir()}/checkpoints") from error
    return Network(name, model.eval(), chosen.transforms(), _labels(chosen), f"weights {chosen}")


def _chosen(name: str, weights: str | None, offered: list[Any]) -> Any:
    """The weights called so: those that have classes."""
    if weights is None:
        return torchvision.models.get_model_weights(name).DEFAULT
    usable = {each.name: each for each in offered if each.meta["categories"]}
    wanted = weights.removeprefix(f"{type(offered[0]).__name__}.")
    if wanted == "DEFAULT":
        return _chosen(name, None, offered)
    if wanted not in usable:
        raise UsageError(
            f"--weights {weights}: neither a file nor weights of {name} that have classes. There are: "
            f"{', '.join(usable)}."
        )
    return usable[wanted]


def _from_file(name: str, weights: str, offered: list[Any]) -> Network:
    """With weights from a file, and what belongs to torchvision's weights of that file name, or its first."""
    path, state = read_weights(weights)
    usable = [each for each in offered if each.meta["categories"]]
    like = next((each for each in usable if each.url.rpartition("/")[2] == path.name), usable[0])
    settings = dict(_AS_PRETRAINED.get(name, {}))
    if name.startswith("vit_"):
        settings["image_size"] = like.meta["min_size"][0]
    model = torchvision.models.get_model(name, weights=None, **settings)
    load_whole(model, _renamed(name, state), path, name)
    origin = f"weights {path}, preprocessing and classes of {like}"
    return Network(name, model, like.transforms(), _labels(like), origin)


def _renamed(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` with the names that the network has: what torchvision does with the files that it offers."""
    if name in _AS_PRETRAINED:
        state = {key: value for key, value in state.items() if not key.startswith(_SIDE_HEADS)}
    if name.startswith("densenet"):
        state = {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}
    state = OrderedDict(state)
    if name.startswith("mnasnet"):  # refuses a state dict that does not say of which version it is
        state._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]
    return state


def _labels(weights: Any) -> tuple[str, ...]:
    return tuple(weights.meta["categories"])
