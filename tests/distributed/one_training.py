"""A training in this process, or in one of those that torchrun has started; keeps its first gradients.

    python one_training.py RECIPE DATA OUT SETTINGS

It computes without dropout, and networks for labels and tags in double precision, so that nothing but a fault
makes a difference.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner

from visionkit.registry import get_recipe
from visionkit.training import train

BATCHES = 2


class Gradients(Callback):
    """Keeps those of the first batches."""

    order = 100
    found: ClassVar[list[dict[str, torch.Tensor]]] = []

    def before_batch(self) -> None:
        if next(self.learn.model.parameters()).dtype != torch.float64:
            return
        self.learn.xb = tuple(value.double() for value in self.xb)
        if self.yb[0].is_floating_point():
            self.learn.yb = tuple(value.double() for value in self.yb)

    def before_step(self) -> None:
        if len(self.found) < BATCHES:
            parameters = self.learn.model.named_parameters()
            self.found.append({name: each.grad.clone() for name, each in parameters if each.grad is not None})


def exact(*given: Any, **options: Any) -> Learner:
    learn = build_learner(*given, **options)
    for module in learn.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if learn.dls.recipe.task == "segmentation":
        learn.model.layers[-1] = torch.nn.Identity()  # in the place of fastai's class, which is single
        learn.model.register_forward_pre_hook(lambda _, images: tuple(each.double() for each in images))
    if learn.dls.recipe.task != "keypoints":  # which has a layer for single precision
        learn.model.double()
    learn.add_cb(Gradients())
    return learn


if __name__ == "__main__":
    build_learner, train.build_learner = train.build_learner, exact  # type: ignore[attr-defined]
    name, data, out, settings = sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
    recipe = get_recipe(name)
    train.train(recipe, recipe.resolved(**settings), data=data, out=out)
    if os.environ.get("RANK", "0") == "0":
        torch.save(Gradients.found, f"{out}.gradients")
