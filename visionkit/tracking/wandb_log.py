"""Fastai's Weights & Biases callback, in one run of theirs for one of ours."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import wandb
from fastai.callback.wandb import WandbCallback

from visionkit.errors import UsageError, VisionkitError

if TYPE_CHECKING:
    from visionkit.runs import Run

PROJECT = "visionkit"
"""Where $WANDB_PROJECT names none."""
TOLD = ("recipe", "task", "settings", "data", "versions", "device", "precision", "synthetic")
"""Entries of run.json that become the run's configuration there."""


def check_login() -> None:
    """Raise `UsageError` where nobody has logged in, instead of asking in the midst of the output."""
    if wandb.setup().settings.mode not in ("offline", "disabled", "dryrun"):
        try:
            known = wandb.login(prompt=False, verify=False)
        except wandb.errors.Error:
            known = False
        if not known:
            raise UsageError(
                "--wandb: you are not logged in to Weights & Biases. Log in with wandb login, or set "
                "WANDB_MODE=offline."
            )


class WandbLog(WandbCallback):
    """Logs losses and hyperparameters of each batch, and the validation's figures of each epoch.

    Args:
        there: the run at Weights & Biases.
    """

    def __init__(self, there: Any) -> None:
        super().__init__(log_preds=False)
        self.there = there

    @classmethod
    def of(cls, run: Run) -> WandbLog:
        """Begin to log `run`, or go on with it; as $WANDB_MODE says offline, too.

        Raises:
            VisionkitError: Weights & Biases cannot be reached, or refuses.
        """
        identity = sha256(f"{run.name} {run.info.get('created')}".encode()).hexdigest()[:16]
        try:
            there = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or PROJECT,
                name=run.name,
                id=identity,
                resume="allow",
                dir=run.path,
                config={name: run.info[name] for name in TOLD if name in run.info},
            )
        except wandb.errors.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise VisionkitError(
                f"--wandb: Weights & Biases cannot be logged to: {reason}. WANDB_MODE=offline logs to the "
                "run folder, for wandb sync."
            ) from error
        return cls(there)

    def before_fit(self) -> None:
        """As fastai's, without its look into every object of the Learner: the run's settings are known."""
        learn: Any = self.learn
        learn.gather_args = dict
        try:
            super().before_fit()
        finally:
            del learn.gather_args

    def finish(self, run: Run) -> None:
        """Add the pictures and final figures of `run`, and end it there, too."""
        done = bool(run.metrics)
        if done:
            pictures = sorted((run.path / "plots").glob("*.png"))
            self.there.log({f"plots/{picture.stem}": wandb.Image(str(picture)) for picture in pictures})
            self.there.summary.update(run.metrics)
        self.there.finish(exit_code=0 if done else 1)
