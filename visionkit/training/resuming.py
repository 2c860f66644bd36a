"""Going on with a run that was interrupted, failed or killed: from its last checkpoint, in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.distributed.started import follows, started_together
from visionkit.errors import VisionkitError
from visionkit.progress import PlainProgress
from visionkit.runs import Run, find_run, only_one
from visionkit.sources.base import Store
from visionkit.training.differences import Difference
from visionkit.training.progress import Reporter
from visionkit.training.reproducing import Plan, plan_reproduction
from visionkit.training.train import train
from visionkit.training.unfinished import Unfinished

_MACHINE = ("os", "processor", "threads and workers")
"""What may be otherwise without a word from the user: it changes the last digits at most."""


@dataclass(frozen=True)
class Resumption:
    """How a run goes on, and what is not as it was.

    Args:
        plan: with the run's settings, data and recipe.
        unfinished: the run, and the checkpoint that it goes on from.
    """

    plan: Plan
    unfinished: Unfinished

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Whatever is not as it was."""
        return self.plan.differences

    @property
    def obstacles(self) -> list[Difference]:
        """The differences that have to be allowed."""
        return [each for each in self.differences if each.effect != "none" and each.what not in _MACHINE]


def plan_resumption(
    run: Run,
    data: Path | str | None = None,
    store: Store | None = None,
    note: Callable[[str], None] = print,
) -> Resumption:
    """Find the newest whole checkpoint of `run` and compare what it was trained with and what is here now.

    Args:
        run: an unfinished run.
        data: where its data set is now, if elsewhere: a folder, or the name of a source.
        store: a sample that is gone is drawn there again.
        note: told of damaged checkpoints, which are passed over.

    Raises:
        VisionkitError: the run is done, or is being trained; its run.json is damaged; or recipe, data or
            weights are gone.
    """
    if run.status == "done":
        raise VisionkitError(f"{run.path}: the run is done; there is nothing left to train.")
    with nullcontext() if follows() else only_one(run.path):  # the first process sees to that
        checkpoints = CheckpointFolder(run.path)
        checkpoint = checkpoints.newest(note)
    plan = plan_reproduction(run, data, store, finished=False)
    return Resumption(plan, Unfinished(run, checkpoint, checkpoints))


def resume(
    run: Run | Path | str | Resumption,
    *,
    data: Path | str | None = None,
    runs_root: Path | str = "runs",
    changes: Mapping[str, Any] | None = None,
    store: Store | None = None,
    reporter: Reporter | None = None,
    force: bool = False,
) -> Run:
    """Train what is left of a run; on a CPU the result is that of a run which was never broken off.

    A run that is done is left as it is.

    Args:
        run: that was interrupted, failed or killed: itself, its folder, its name in `runs_root`, or "last";
            or what `plan_resumption` found.
        data: where its data set is now, if elsewhere: a folder, or the name of a source; not for what
            `plan_resumption` found.
        runs_root: the folder of run folders.
        changes: settings that are to be others from now on, such as `{"on_nan": "skip"}`.
        store: for what is remembered of images, and the cache.
        reporter: told about the progress; where None, a table in a notebook, and plain lines elsewhere.
        force: go on although data, recipe, packages or code are not what they were.

    Returns:
        The finished run.

    Raises:
        UsageError: there is no such run.
        VisionkitError: something is not as it was, and `force` is not set; its run.json is damaged; recipe,
            data or weights are gone; besides, what `train` raises.
    """
    note = (reporter or PlainProgress()).note
    if isinstance(run, Resumption):
        resumption = run
    else:
        found = run if isinstance(run, Run) else find_run(str(run), Path(runs_root))
        found = Run.read(found.path)  # it may have been trained on since
        if found.status == "done":
            note(f"{found.path}: the run is done; there is nothing left to train.")
            return found
        resumption = plan_resumption(found, data, store, note)
        for each in resumption.differences:
            note(f"differs    {each.what}: {each.then} then, {each.now} now")
    plan = resumption.plan
    if resumption.obstacles and not force:
        what = ", ".join(dict.fromkeys(each.what for each in resumption.obstacles))
        raise VisionkitError(
            f"{plan.run.name} was begun with other versions of: {what}. Put them back, or go on all the same "
            "with --force (in Python: force=True)."
        )
    return train(
        plan.recipe,
        plan.settings.replaced(**(changes or {})),
        data=plan.folder,
        store=store,
        reporter=reporter,
        threads=plan.threads if started_together() == int(plan.run.info.get("processes", 1)) else None,
        batch_sizes=plan.batch_sizes,
        unfinished=resumption.unfinished,
    )
