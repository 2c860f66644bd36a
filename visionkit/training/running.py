"""A training in its run folder, which tells how it ended."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from fastai.learner import Learner

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Checkpoint
from visionkit.checkpoints.saving import LeftToTheFirst, Saving
from visionkit.data.dataset import Dataset
from visionkit.data.skipping import SKIP_FILE, write_skip_list
from visionkit.data.splits import SPLIT_FILE, write_split
from visionkit.distributed.batches import shared_batches
from visionkit.distributed.losing import lost_processes_told
from visionkit.distributed.stopping import interruption_in
from visionkit.distributed.world import ALONE, World
from visionkit.inference.bundle import write_bundle
from visionkit.live.log import LiveLog, remove_live
from visionkit.reporting.plots import plot_run
from visionkit.runs import Run
from visionkit.tracking.trackers import tracking
from visionkit.training.averaging import finish_averaging
from visionkit.training.class_weights import CLASS_WEIGHTS_FILE, write_class_weights
from visionkit.training.data_faults import Unchanged, explained, plots_may_lack_images
from visionkit.training.hardware import leave_autocast
from visionkit.training.keeping import finish_keeping, keeping_callbacks
from visionkit.training.progress import Reporter
from visionkit.training.recording import Recording
from visionkit.training.stage_training import StageTraining
from visionkit.training.stages import Stage
from visionkit.training.waiting import Waiting


@dataclass(frozen=True)
class RunTraining:
    """Everything that a training through its stages takes.

    Args:
        run: its folder is written to.
        learn: as `build_learner` makes it.
        dataset: what `learn` learns.
        stages: in order.
        reporter: told about the progress.
        batch_sizes: of the stages, where `bs` is "auto" and they are known.
        checkpoint: that is gone on from.
        started: of `time.perf_counter`, from which the run's seconds count.
        world: the processes that train together; only the first of them writes what is left of the run.
        folder: that the first one writes to, where this is another one.
    """

    run: Run
    learn: Learner
    dataset: Dataset
    stages: list[Stage]
    reporter: Reporter
    batch_sizes: Sequence[int]
    checkpoint: Checkpoint | None
    started: float
    world: World = ALONE
    folder: Path | None = None

    @property
    def place(self) -> Path:
        """The folder of the run, as the user knows it."""
        return self.folder or self.run.path

    def train(self) -> None:
        """Train through the stages; write history, metrics, model and plots, and how it ended.

        Raises:
            DataError: names the file that is gone or cannot be used any more.
            VisionkitError: memory ran out, or a loader process was ended.
            KeyboardInterrupt: after the training was saved.
        """
        run, note = self.run, self.reporter.note
        try:
            self._record_data()
            interruption, heeding = interruption_in(self.world, note)
            with explained(self.dataset, self.place), interruption:
                checkpoints = CheckpointFolder(self.place)
                every = 60 * self.dataset.settings.checkpoint_minutes
                kind = Saving if self.world.leads else LeftToTheFirst
                saving = kind(checkpoints, interruption, self.stages, note, every, self.started)
                self.learn.add_cbs([heeding, saving, interruption])
                waiting = Waiting()
                recording = Recording(run.path, LiveLog(run.path, self.reporter), waiting)
                self.learn.add_cbs([waiting, recording])
                with tracking(self.learn, run, recording, note) if self.world.leads else nullcontext():
                    with lost_processes_told(self.world, saving):
                        self._train_stages(recording, saving)
                    interruption.part()
                    self.world.part()
                    if not self.world.leads:
                        return
                    self._finish(recording, saving)
                run.update(status="done")
                checkpoints.remove()
                remove_live(run.path)
        except KeyboardInterrupt:
            run.close(status="interrupted")
            note(f"           visionkit resume {shlex.quote(str(run.path))} goes on")
            raise
        except BaseException as error:
            run.close(status="failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            run.close(seconds=round(time.perf_counter() - self.started, 2))
            leave_autocast(self.learn)

    def _record_data(self) -> None:
        """Write who trains and who validates, for the run itself and for others, and what was left out."""
        dataset, folder = self.dataset, self.run.path
        write_split(folder / SPLIT_FILE, dataset.images, dataset.train, dataset.valid, dataset.path)
        if dataset.skipped:
            write_skip_list(folder / SKIP_FILE, dataset.skipped, dataset.path)
        if self.learn.class_weights is not None:
            write_class_weights(folder / CLASS_WEIGHTS_FILE, self.learn.class_weights)

    def _train_stages(self, recording: Recording, saving: Saving) -> None:
        """Train the stages in order."""
        learn, dataset, note = self.learn, self.dataset, self.reporter.note
        keeping = keeping_callbacks(dataset.settings, dataset.task, recording, note)
        learn.add_cbs([Unchanged(dataset, note, self.world), *keeping])
        learn.parts.note = learn.non_finite.note = note
        learn.non_finite.world, learn.non_finite.folder = self.world, self.place
        with shared_batches(learn, self.world, dataset.settings.sync_bn):
            training = StageTraining(
                learn, dataset, recording, note, self.batch_sizes, saving, self.checkpoint
            )
            for stage in self.stages:
                training.train(stage)
                if training.sizes.chosen:
                    self.run.update(batch_sizes=training.sizes.chosen)

    def _finish(self, recording: Recording, saving: Saving) -> None:
        """Choose the weights that are kept; write metrics, model and plots."""
        learn, dataset, run, note = self.learn, self.dataset, self.run, self.reporter.note
        finish_averaging(learn)
        metrics = recording.epochs[-1].metrics
        if (kept := finish_keeping(learn)) is not None:
            run.update(best_epoch=kept._asdict())
            metrics = recording.metrics_of(*kept)
        if dataset.recipe.scores is not None:
            metrics = {**metrics, **dataset.recipe.scores(learn, dataset)}
        images_per_s = recording.trained_images / max(recording.training_seconds, 1e-9)
        run.update(
            metrics=metrics,
            images_per_s=round(images_per_s, 1),
            wait_percent=round(recording.wait_percent, 1),
            checkpoint_seconds=round(saving.spent, 2),
            left_out=learn.non_finite.count,
        )
        last = dataset.settings.replaced(size=self.stages[-1].size, then=())
        write_bundle(run.path / "model", learn, dataset, last, metrics, note)
        with plots_may_lack_images(dataset, note):
            plot_run(run, learn, dataset)
