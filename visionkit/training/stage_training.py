"""One stage of a training after the other, each with its size, rates and batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fastai.learner import Learner

from visionkit.checkpoints.form import Checkpoint
from visionkit.checkpoints.going_on import going_on, restore_state
from visionkit.checkpoints.saving import Saving
from visionkit.data.dataset import Dataset
from visionkit.models.architectures import find_architecture
from visionkit.training.compiling import compiled
from visionkit.training.data_faults import is_cached
from visionkit.training.learner import normalize
from visionkit.training.memory import ran_out_of_memory
from visionkit.training.rates import suggest_rates
from visionkit.training.recording import Recording
from visionkit.training.sized import BatchSizes, out_of_memory
from visionkit.training.stages import Stage


class StageTraining:
    """Trains the stages of `dataset` with `learn`.

    Args:
        learn: the recipe's Learner; goes on from stage to stage with the weights as they are.
        dataset: gives DataLoaders and settings.
        recording: a callback of `learn`.
        note: told about rates and batch sizes that are found out.
        batch_sizes: of the first stages, for `--bs auto`; see `BatchSizes`.
        saving: another callback of `learn`, which saves checkpoints.
        checkpoint: that the training goes on from.
    """

    def __init__(
        self,
        learn: Learner,
        dataset: Dataset,
        recording: Recording,
        note: Callable[[str], None],
        batch_sizes: Sequence[int] = (),
        saving: Saving | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.learn, self.dataset, self.recording, self.note = learn, dataset, recording, note
        self.settings = dataset.settings
        self.sizes = BatchSizes(len(dataset.train), note, batch_sizes)
        self.saving, self.cached = saving, is_cached(learn.dls)
        self.checkpoint: Checkpoint | None = None
        """In whose stage training goes on."""
        self.first = 1
        """Number of the first stage that is not done."""
        if checkpoint is not None:
            self._go_on_from(checkpoint)

    def _go_on_from(self, checkpoint: Checkpoint) -> None:
        """Between two stages be what `checkpoint` is; in the midst of one, when its training begins."""
        values = checkpoint.values
        self.first, self.sizes.chosen = checkpoint.position.stage, list(values.batch_sizes)
        if self.saving is not None:
            self.saving.batch_sizes = self.sizes.chosen
        self._switch(values.size, values.batch_size)
        if checkpoint.position.between:
            restore_state(self.learn, checkpoint)
        else:
            self.checkpoint = checkpoint

    def _switch(self, size: int, bs: int) -> None:
        dls = self.learn.dls
        if (dls.settings.size, dls.train.bs) != (size, bs):
            switch_size(self.learn, replace(self.dataset, settings=self.settings.replaced(bs=bs)), size)

    def train(self, stage: Stage) -> None:
        """One `fit_one_cycle` at the stage's size, or what is left of it.

        Raises:
            VisionkitError: memory runs out, or the network cannot be compiled.
        """
        if stage.number < self.first:
            return
        self._train(stage)
        if self.saving is not None:
            self.saving.stage_done(self.learn, stage)

    def _train(self, stage: Stage) -> None:
        if self.learn.dls.settings.size != stage.size:
            switch_size(self.learn, self.dataset, stage.size)
        if stage.frozen:
            self.learn.freeze()
        else:
            self.learn.unfreeze()
        if self.settings.bs != "auto" or self.checkpoint is not None:
            try:
                self._fit(stage)
            except Exception as error:
                if ran_out_of_memory(error):
                    raise out_of_memory(self.learn.dls.train.bs, stage) from error
                raise
            if self.settings.bs == "auto":
                self.sizes.chosen.append(self.learn.dls.train.bs)
            return

        def fit(bs: int) -> None:
            dataset = replace(self.dataset, settings=self.settings.replaced(bs=bs))
            switch_size(self.learn, dataset, stage.size)
            self._fit(stage)

        self.sizes.train(self.learn, stage, fit, lambda: self.recording.forget(stage))

    def _fit(self, stage: Stage) -> None:
        cached, self.cached = self.cached, is_cached(self.learn.dls)
        if cached and not self.cached:
            self.note(f"cache      is gone: stage {stage.number} loads from the files, which is slower")
        checkpoint, self.checkpoint = self.checkpoint, None
        lr = self._rate(stage) if checkpoint is None else checkpoint.values.rate
        assert lr is not None
        self.recording.stage = stage
        if self.saving is not None:
            self.saving.stage, self.saving.rate = stage, lr
        with (
            self.learn.no_logging(),
            compiled(self.learn.model, self.settings.compile),
            going_on(self.learn, checkpoint) as callbacks,
        ):
            self.learn.fit_one_cycle(stage.epochs, stage.max_rate(lr), cbs=callbacks)
        self.recording.stage = None

    def _rate(self, stage: Stage) -> float:
        """The stage's peak rate; a search for one is neither recorded nor saved."""
        if stage.lr is not None:
            return stage.lr
        self.recording.stage = None
        if self.saving is not None:
            self.saving.stage = None
        lr = suggest_rates(self.learn).valley
        self.note(f"stage {stage.number}: lr_find's valley is {lr:.2g}")
        return lr


def switch_size(learn: Learner, dataset: Dataset, size: int) -> None:
    """Go on with images of `size` pixels: new DataLoaders, normalised as before; the weights stay."""
    dls = dataset.dataloaders(size, learn.dls.device, fill=False)
    normalize(dls, *find_architecture(learn.dls.settings.arch).normalization)
    learn.dls = dls
