"""A training as a list of stages: at every size a frozen one, then an unfrozen one.

The recipe of fast.ai's course: train the head, unfreeze and train all layers with rates that fall towards the
input, then do both again on larger images (progressive resizing, lesson 3 of the 2019 course, on the planet
data).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from visionkit.errors import UsageError
from visionkit.settings import TrainSettings


@dataclass(frozen=True)
class Stage:
    """One call of `fit_one_cycle`.

    `lr` is the peak rate; None takes lr_find's valley at the stage's start. The unfrozen stage of a
    pretrained network trains its first layers at `lr / lr_mult`.
    """

    number: int
    size: int
    frozen: bool
    epochs: int
    lr: float | None
    lr_mult: float

    @property
    def name(self) -> str:
        return "frozen" if self.frozen else "unfrozen"

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    def max_rate(self, lr: float) -> Any:
        """The rate for `fit_one_cycle`: a number, or a slice from the first layers to the head."""
        return slice(lr / self.lr_mult, lr) if self.lr_mult > 1 else lr


def plan_stages(settings: TrainSettings, pretrained: bool) -> list[Stage]:
    """The stages of a training, in order; stages without epochs are left out.

    Unfreezing halves the rate, as `fine_tune` of fastai does, and so does every further size. A network that
    does not start from weights has nothing to freeze: it trains unfrozen for `epochs` epochs, at one rate for
    all layers.

    Raises:
        UsageError: there is not one epoch to train.
    """
    stages: list[Stage] = []
    for index, size in enumerate(settings.sizes):
        frozen_epochs, epochs = settings.epochs_at(index)
        lr = None if settings.lr == "auto" else settings.lr / 2**index
        if pretrained:
            planned = [(True, frozen_epochs, lr, 1.0), (False, epochs, lr and lr / 2, settings.lr_mult)]
        else:
            planned = [(False, epochs, lr, 1.0)]
        for frozen, count, rate, mult in planned:
            if count:
                stages.append(Stage(len(stages) + 1, size, frozen, count, rate, mult))
    if not stages:
        raise UsageError(
            "--epochs and --freeze-epochs: there is no epoch to train; set one of them to at least 1."
            if pretrained
            else "--epochs 0: there is no epoch to train. A network from scratch has nothing to freeze, and "
            "--freeze-epochs does not count; set --epochs to at least 1."
        )
    return stages
