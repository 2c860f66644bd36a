"""A Learner that goes on in the midst of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastai.callback.core import Callback
from fastai.learner import CancelEpochException, Learner

from visionkit.checkpoints.form import Checkpoint
from visionkit.checkpoints.state import restore
from visionkit.errors import VisionkitError


class GoingOn(Callback):
    """Restores `checkpoint` when the first epoch's training begins: after all that a fit begins with.

    Args:
        checkpoint: in the midst of a stage.
    """

    order = 1000

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint: Checkpoint | None = checkpoint

    def before_train(self) -> None:
        if self.checkpoint is not None:
            restore_state(self.learn, self.checkpoint)
            self.checkpoint = None  # its memory is free again


@contextmanager
def going_on(learn: Learner, checkpoint: Checkpoint | None) -> Iterator[list[Callback]]:
    """Let the next fit of `learn` begin at the epoch and the batch of `checkpoint`; yields callbacks for it.

    Without a checkpoint it begins at its beginning.
    """
    if checkpoint is None:
        yield []
        return
    position = checkpoint.position

    def all_batches() -> None:
        learn.n_iter = len(learn.dl)
        first = learn.training and learn.epoch == position.epoch
        if not (first and position.trained):
            for number, batch in enumerate(learn.dl, position.batch if first else 0):
                learn.one_batch(number, batch)

    def do_fit() -> None:
        for epoch in range(position.epoch, learn.n_epoch):
            learn.epoch = epoch
            learn._with_events(learn._do_epoch, "epoch", CancelEpochException)

    own = vars(learn)
    own.update(_do_fit=do_fit, all_batches=all_batches)
    try:
        yield [GoingOn(checkpoint)]
    finally:
        del own["_do_fit"], own["all_batches"]


def restore_state(learn: Learner, checkpoint: Checkpoint) -> None:
    """Make `learn` and the order of its training images what they were.

    Raises:
        VisionkitError: the checkpoint is of another network.
    """
    try:
        restore(learn, checkpoint)
        position = checkpoint.position
        learn.dls.train.go_on(checkpoint.values.loader, 0 if position.trained else position.batch)
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise VisionkitError(
            f"the checkpoint does not go with the network, or is of another version of visionkit ({reason})."
        ) from error
