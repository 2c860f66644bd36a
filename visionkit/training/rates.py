"""Finding a learning rate: Leslie Smith's range test (arXiv:1506.01186), as fastai's `lr_find` runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from fastai.callback.schedule import minimum, steep, valley
from fastai.learner import Learner

from visionkit.errors import VisionkitError

ITERATIONS = 100


@dataclass(frozen=True)
class RateTest:
    """The curve of a range test, batch by batch, and the rates that it suggests."""

    rates: list[float]
    losses: list[float]
    valley: float
    steep: float
    minimum: float

    @property
    def suggestions(self) -> dict[str, float]:
        """The suggested rates by name; fastai recommends the valley."""
        return {"valley": self.valley, "steep": self.steep, "minimum": self.minimum}


def suggest_rates(learn: Learner, iterations: int = ITERATIONS) -> RateTest:
    """Train for some batches at growing rates and read the loss curve; weights and optimiser are put back
    afterwards.

    Raises:
        VisionkitError: the losses are no numbers, so that there is no curve to read.
    """
    model_dir = learn.model_dir
    with TemporaryDirectory() as folder:
        learn.model_dir = folder  # fastai keeps the weights in a file meanwhile
        try:
            with learn.no_bar():
                found = learn.lr_find(
                    num_it=iterations, suggest_funcs=(valley, steep, minimum), show_plot=False
                )
        except (IndexError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "empty" not in str(error):
                raise
            raise VisionkitError(
                "the learning-rate search found no falling loss; give a rate with --lr."
            ) from error
        finally:
            learn.model_dir = model_dir
    curve = [(float(rate), float(loss)) for rate, loss in zip(learn.recorder.lrs, learn.recorder.losses)]
    finite = [(rate, loss) for rate, loss in curve if math.isfinite(loss)]
    return RateTest(
        [rate for rate, _ in finite], [loss for _, loss in finite], found.valley, found.steep, found.minimum
    )
