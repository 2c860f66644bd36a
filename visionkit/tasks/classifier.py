"""The Learner of single- and multi-label classification and of keypoints: a body with fastai's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastai.learner import Learner
from fastai.vision.learner import create_head, create_vision_model, vision_learner
from torch import Tensor
from torchvision.models import VisionTransformer

from visionkit.errors import UsageError
from visionkit.models.weights import LoadReport, load_fitting

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders

    from visionkit.models.architectures import Architecture


def classifier_learner(
    dls: DataLoaders,
    arch: Architecture,
    *,
    state: Mapping[str, Tensor] | None,
    report: Callable[[LoadReport], None],
    dropout: float = 0.5,
    sizes: tuple[int, ...] = (),
    n_out: int | None = None,
    **kwargs: Any,
) -> Learner:
    """A Learner with fastai's head on the body of `arch`, frozen where it starts from `state`.

    Args:
        dls: DataLoaders, with a vocabulary where `n_out` is None.
        arch: the body's architecture.
        state: weights of the whole network; without them the body is random and nothing is frozen.
        report: called with what of `state` fitted.
        dropout: before the head's last layer; half of it before the one above.
        sizes: the sizes that will be trained at, in pixels.
        n_out: how many outputs the head has; one for each name in the vocabulary where None.
        kwargs: passed on to `Learner`.

    Raises:
        UsageError: a vision transformer cannot take one of `sizes`.
    """
    n_out = len(dls.vocab) if n_out is None else n_out
    if arch.library == "timm":
        learn = vision_learner(
            dls, arch.name, n_out=n_out, pretrained=False, normalize=False, ps=dropout, **kwargs
        )
        if state is not None:
            report(load_fitting(learn.model[0].model, state))
            learn.freeze()
        return learn
    model = arch.build()
    if isinstance(model, VisionTransformer) and any(size != model.image_size for size in sizes):
        only, asked = model.image_size, ", ".join(map(str, sizes))
        raise UsageError(
            f"--arch {arch.name}: takes images of {only} px only, and the sizes are {asked}. "
            f"Set --size {only} without --then, or take another --arch."
        )
    if state is not None:
        report(load_fitting(model, state))
    head = create_head(model.hidden_dim, n_out, ps=dropout) if isinstance(model, VisionTransformer) else None
    # not `vision_learner`, which takes a `cut` and cuts as it likes (fastai 2.8)
    network = create_vision_model(
        lambda pretrained: model, n_out, pretrained=False, cut=arch.body, custom_head=head, ps=dropout
    )
    learn = Learner(dls, network, splitter=arch.splitter, **kwargs)
    if state is not None:
        learn.freeze()
    return learn
